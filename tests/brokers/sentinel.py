"""A Redis group of our own: a master, a replica, and three Sentinels that make the one of the other."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.exceptions import RedisError

from tests.brokers.program import Program
from workers.local.ports import LOOPBACK, free_port
from workers.local.redis import program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAME = "scenemill"
SENTINELS, QUORUM = 3, 2
DOWN_MILLISECONDS = 1000


class Group:
    """The servers and their Sentinels. The Sentinels have no password, as most have none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.password = secrets.token_hex(8)
        ports = [free_port() for _ in range(2 + SENTINELS)]
        self.servers = {port: self._server(port, ports[0]) for port in ports[:2]}
        self.sentinels = {port: self._sentinel(port, ports[0]) for port in ports[2:]}

    def _server(self, port: int, master: int) -> Program:
        follows = [] if port == master else [f"replicaof {LOOPBACK} {master}"]
        return self._program(
            port,
            False,
            f"requirepass {self.password}",
            f"masterauth {self.password}",
            "appendonly yes",
            *follows,
        )

    def _sentinel(self, port: int, master: int) -> Program:
        return self._program(
            port,
            True,
            f"sentinel monitor {NAME} {LOOPBACK} {master} {QUORUM}",
            f"sentinel auth-pass {NAME} {self.password}",
            f"sentinel down-after-milliseconds {NAME} {DOWN_MILLISECONDS}",
            f"sentinel failover-timeout {NAME} 5000",
        )

    def _program(self, port: int, sentinel: bool, *lines: str) -> Program:
        folder = self.folder / str(port)
        folder.mkdir(parents=True)
        config = folder / "redis.conf"
        config.write_text("\n".join((f"bind {LOOPBACK}", f"port {port}", f"dir {folder}", *lines)) + "\n")
        argv = [program(), str(config), *(["--sentinel"] if sentinel else [])]
        password = None if sentinel else self.password
        return Program(argv, folder, lambda: _answers(port, password), {"PATH": os.defpath})

    def start(self) -> None:
        """Start all, and return when every Sentinel knows the replica and the other Sentinels."""
        for one in (*self.servers.values(), *self.sentinels.values()):
            one.start()
        self._wait(
            lambda: all(self._knows(port) for port in self.sentinels), "the Sentinels to know each other"
        )

    def _knows(self, port: int) -> bool:
        state: Any = self._ask(port).sentinel_master(NAME)
        return bool(state["num-slaves"] == 1 and state["num-other-sentinels"] == SENTINELS - 1)

    def url(self, scheme: str, database: int) -> str:
        """Return the URL of a database of whichever server is the master."""
        places = ",".join(f"{LOOPBACK}:{port}" for port in self.sentinels)
        return f"{scheme}://:{self.password}@{places}/{NAME}/{database}"

    def settings(self, first: int = 0) -> dict[str, str]:
        """Return the settings that name two databases of the group for all that Scenemill wants of a Redis."""
        return {
            "SCENEMILL_BROKER_URL": self.url("sentinel", first),
            "SCENEMILL_REDIS_URL": self.url("redis+sentinel", first + 1),
        }

    def master(self) -> int:
        """Return the port of the server that the Sentinels name."""
        port = next(iter(self.sentinels))
        address: Any = self._ask(port).sentinel_get_master_addr_by_name(NAME)
        return int(address[1])

    def kill_master(self) -> int:
        """Kill the master, and return its port once another is named."""
        former = self.master()
        self.servers[former].kill()
        self._wait(lambda: self.master() != former, "a failover")
        return former

    def stop(self) -> None:
        """End all: the Sentinels first, so that they undo nothing."""
        for one in (*self.sentinels.values(), *self.servers.values()):
            one.kill()

    @staticmethod
    def _ask(port: int) -> Redis:
        return Redis(port=port, socket_timeout=2)

    @staticmethod
    def _wait(holds: Callable[[], bool], what: str, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain for {what}"
            time.sleep(0.05)


def _answers(port: int, password: str | None) -> bool:
    with contextlib.suppress(RedisError), Redis(port=port, password=password, socket_timeout=1) as one:
        return bool(one.ping())
    return False


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Group]:
    """Run a group for as long as the block lasts."""
    one = Group(folder)
    try:
        one.start()
        yield one
    finally:
        one.stop()
