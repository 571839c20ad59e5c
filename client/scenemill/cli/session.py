"""One run of the command: its general options, and the connection that they lead to."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

import scenemill
from scenemill.cli import access, config, local_stack
from scenemill.cli.saved import Saved

if TYPE_CHECKING:
    from scenemill import Scenemill
    from scenemill.cli.access import Access, Options
    from scenemill.cli.local_stack import LocalStack


@dataclass
class Session:
    """The general options of this run. Files and the network are looked at when a command needs them."""

    options: Options

    @cached_property
    def local(self) -> LocalStack | None:
        """Return the local stack of the current folder, running or not."""
        return local_stack.find(Path.cwd())

    @cached_property
    def access(self) -> Access:
        """Return which API is called and with which key."""
        return access.decide(
            self.options,
            os.environ,
            config.load(),
            self.local,
            lambda api: self.login_at(api).load() is not None,
        )

    def login_at(self, api: str) -> Saved:
        """Return where the login at an API is kept."""
        return Saved(config.folder() / "logins.json", api)

    def connect(self) -> Scenemill:
        """Return a client of the API, or raise UsageError where there is no key and no login."""
        found = self.access
        if self.options.verbose:
            self.say_access()
        if found.key:
            return scenemill.Scenemill(found.api, found.key)
        if found.logged_in:
            return scenemill.Scenemill(found.api, auth=scenemill.TokenAuth(store=self.login_at(found.api)))
        raise click.UsageError(self._no_key())

    def say_access(self) -> None:
        """Say on stderr which address and key are used, and where they come from."""
        found = self.access
        click.echo(f"API: {found.api} ({found.api_source})", err=True)
        key = f"{found.key_hint} ({found.key_source})".strip() if found.key else found.key_source or "none"
        click.echo(f"Key: {key}", err=True)
        if self.local is not None and self.local.note:
            click.echo(f"Local stack: {self.local.note}", err=True)

    def _no_key(self) -> str:
        note = f" ({self.local.note})" if self.local is not None and self.local.note else ""
        return (
            f"There is no API key for {self.access.api}{note}. Use one of:\n"
            "  scenemill up                 starts Scenemill on this machine; commands below that folder find its key\n"
            "  scenemill login              logs in by user name and password\n"
            "  scenemill config set key     stores a key\n"
            "  SCENEMILL_API_KEY, --key     give a key for one shell or one command"
        )
