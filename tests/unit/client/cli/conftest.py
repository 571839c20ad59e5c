"""The command as the shell runs it, against a server on loopback that answers what a test lays out for it."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from scenemill.cli import failures
from scenemill.cli.command import cli

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.client.conftest import Scripted


class Ended(NamedTuple):
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        """Return the JSON lines on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty current folder, with no configuration, no login and no setting in the environment."""
    for name in ("SCENEMILL_API", "SCENEMILL_API_KEY", "SCENEMILL_PROFILE", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return folder


@pytest.fixture
def command(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Run the command with these arguments alone."""

    def call(*arguments: object, stdin: bytes = b"") -> Ended:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = failures.run(cli, [str(one) for one in arguments])
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return call


@pytest.fixture
def run(command: Callable[..., Ended], server: Scripted) -> Callable[..., Ended]:
    """Run a command at the server of the test. Without a key, whatever is stored opens it."""

    def call(*arguments: object, key: str = "secret", stdin: bytes = b"") -> Ended:
        opened = ("--key", key) if key else ()
        return command("--api", server.url, *opened, *arguments, stdin=stdin)

    return call
