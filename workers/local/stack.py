"""The local stack before it starts: its options, and the ports, secrets and servers that follow from them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workers.local import postgres as pg
from workers.local import redis as rd
from workers.local.fork_client import ForkClient
from workers.local.ports import LOOPBACK, free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

API_PORT = 8000
FLOWER_PORT = 5555
FLOWER_USER = "scenemill"
QUEUES = ("scripts", "renders", "control")


@dataclass(frozen=True)
class StackOptions:
    """The options of `up`. A port of None means any free one."""

    folder: Path
    api_port: int | None = API_PORT
    flower_port: int | None = FLOWER_PORT
    renders: int = 2
    # Existing servers to use instead of the stack's own Redis.
    broker_url: str | None = field(default=None, repr=False)
    redis_url: str | None = field(default=None, repr=False)
    # Where to store files instead of the data folder, such as `s3://bucket/prefix`.
    storage_url: str | None = None


@dataclass(frozen=True)
class Stack:
    """A stack whose ports and secrets are decided."""

    options: StackOptions
    postgres: pg.Postgres
    redis: rd.Redis
    api_port: int
    flower_port: int
    flower_password: str
    token_secret: str
    metrics_ports: dict[str, int]
    forks: ForkClient = field(default_factory=ForkClient)

    @property
    def api(self) -> str:
        """The API's URL."""
        return f"http://{LOOPBACK}:{self.api_port}"

    @property
    def flower(self) -> str:
        """Flower's URL."""
        return f"http://{LOOPBACK}:{self.flower_port}"

    @property
    def broker_url(self) -> str:
        """The URL of Celery's broker."""
        return self.options.broker_url or self.redis.url(0)

    @property
    def redis_url(self) -> str:
        """The URL of the Redis for rate limits and caches."""
        return self.options.redis_url or self.redis.url(1)

    @property
    def key_file(self) -> Path:
        """The file that holds the first API key."""
        return self.options.folder / "api.key"

    def addresses(self, pids: Callable[[str], list[int]]) -> dict[str, Any]:
        """Return what `up --json` prints when everything is ready."""
        return {
            "api": self.api,
            "flower": self.flower,
            "flower_auth": f"{FLOWER_USER}:{self.flower_password}",
            "api_key": self.key_file.read_text().strip(),
            "database_url": self.postgres.url(),
            "redis_url": self.redis_url,
            "broker_url": self.broker_url,
            "metrics": {
                "api": f"{self.api}/metrics",
                "workers": {
                    name: f"http://{LOOPBACK}:{port}/metrics" for name, port in self.metrics_ports.items()
                },
            },
            "data": str(self.options.folder),
            "log": str(self.options.folder / "logs" / "scenemill.log"),
            "pids": {
                "supervisor": [os.getpid()],
                "api": pids("api"),
                "workers": {queue: pids(f"worker-{queue}") for queue in QUEUES},
                **{name: pids(name) for name in ("beat", "flower", "postgres", "redis")},
            },
        }


def default_renders() -> int:
    """Return how many segments to render at a time: half the cores, 2 to 8, since x264 uses several cores itself."""
    return max(2, min(8, (os.cpu_count() or 1) // 2))


def plan_stack(options: StackOptions) -> Stack:
    """Decide ports and secrets, and prepare the servers' folders."""
    folder = options.folder
    for name in ("storage", "work"):
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    taken = _distinct_ports(5)
    return Stack(
        options=options,
        postgres=pg.prepare(folder, taken[0]),
        redis=rd.prepare(folder, taken[1]),
        api_port=free_port() if options.api_port is None else options.api_port,
        flower_port=free_port() if options.flower_port is None else options.flower_port,
        flower_password=pg.load_or_create_secret(folder / "flower.password"),
        token_secret=pg.load_or_create_secret(folder / "token.secret"),
        metrics_ports=dict(zip(QUEUES, taken[2:], strict=True)),
    )


def _distinct_ports(count: int) -> list[int]:
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return sorted(found)
