"""A RabbitMQ of our own, where the machine has one: never the system's, whose node, port, cookie and data are others'."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import kombu
import pytest

from tests.brokers.program import Program
from workers.local.ports import LOOPBACK, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

HOMES = ("/usr/lib/rabbitmq/lib", "/usr/local/lib", "/opt", "/opt/homebrew/opt/rabbitmq")
USER = "guest"


def program() -> Path:
    """Return the server's own script, or skip the test: Debian's wrapper insists on a user that it made."""
    for home in HOMES:
        if found := sorted(Path(home).glob("rabbitmq_server-*/sbin/rabbitmq-server")):
            return found[-1]
    found_in_path = shutil.which("rabbitmq-server")
    if found_in_path is None or shutil.which("erl") is None:
        pytest.skip("there is no rabbitmq-server on this machine (Debian: apt-get install rabbitmq-server)")
    return Path(found_in_path)


class RabbitMQ:
    """One node, with the port mapper that Erlang wants beside it."""

    def __init__(self, folder: Path) -> None:
        script = program()
        self.folder = folder
        self.port = free_port()
        mapper_port, peer_port = free_port(), free_port()
        for name in ("home", "data", "log"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        cookie = folder / "home" / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)
        env = {
            "PATH": os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin")),
            "HOME": str(folder / "home"),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(mapper_port),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "RABBITMQ_NODENAME": f"scenemill-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(peer_port),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1",
        }
        (folder / "plugins").write_text("[].\n")
        (folder / "rabbitmq.conf").write_text(
            "log.console.level = warning\ndisk_free_limit.absolute = 50MB\n"
        )
        mapper = shutil.which("epmd")
        assert mapper is not None, "Erlang comes with epmd"
        (folder / "mapper").mkdir(exist_ok=True)
        self.mapper = Program(
            (mapper, "-port", str(mapper_port)), folder / "mapper", lambda: _is_open(mapper_port), env
        )
        self.node = Program((str(script),), folder / "home", self._answers, env)

    @property
    def url(self) -> str:
        """Return the URL that kombu takes."""
        return f"amqp://{USER}:{USER}@{LOOPBACK}:{self.port}//"

    def another(self) -> str:
        """Make a virtual host, in which workers of the same names may be, and return its URL."""
        name = secrets.token_hex(4)
        for words in (("add_vhost", name), ("set_permissions", "-p", name, USER, ".*", ".*", ".*")):
            subprocess.run(
                [program().with_name("rabbitmqctl"), "-n", self.node.env["RABBITMQ_NODENAME"], *words],
                env=self.node.env,
                check=True,
                capture_output=True,
                timeout=60,
            )
        return f"{self.url.removesuffix('/')}{name}"

    def _answers(self) -> bool:
        if not _is_open(self.port):
            return False
        with contextlib.suppress(OSError), kombu.Connection(self.url, connect_timeout=2) as connection:
            connection.connect()
            return True
        return False


def _is_open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def running(folder: Path) -> Iterator[RabbitMQ]:
    """Run a RabbitMQ for as long as the block lasts."""
    one = RabbitMQ(folder)
    one.mapper.start()
    try:
        one.node.start()
        yield one
    finally:
        one.node.kill()
        one.mapper.kill()
