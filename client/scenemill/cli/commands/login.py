"""`scenemill login` and `scenemill logout`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from scenemill.auth import by_password, log_in, log_out
from scenemill.cli import config, output
from scenemill.cli.help import examples
from scenemill.cli.options import json_option, pass_session
from scenemill.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenemill.cli.session import Session

PASSWORD_CHANGE_NEEDED = "password-change-needed"  # noqa: S105 (a code of the API)


@click.command(
    epilog=examples(
        "scenemill --api https://video.example.com login --user ada",
    )
)
@click.option("--user", "username", prompt="User", help="Asked for when it is not given.")
@click.option("--password-stdin", is_flag=True,
              help="Read the password from stdin; where another one must be set, that from the second line.")  # fmt: skip
@json_option
@pass_session
def login(session: Session, /, username: str, *, password_stdin: bool, as_json: bool) -> None:
    """Log in by user name and password, for all commands at this API until `scenemill logout`.

    An address that is given by --api or SCENEMILL_API is stored where none is stored yet.
    """
    api = session.access.api
    passwords = iter(sys.stdin.read().splitlines()) if password_stdin else None
    password = _asked("Password", passwords)
    try:
        tokens = log_in(api, by_password(username, password))
    except ApiError as error:
        if error.code != PASSWORD_CHANGE_NEEDED:
            raise
        click.echo("This password is good once, for setting another.", err=True)
        new = _asked("New password", passwords, again="Again")
        tokens = log_in(api, by_password(username, password, new_password=new))
    store = session.login_at(api)
    with store.locked():
        store.save(tokens)
    _keep_address(session)
    if as_json:
        output.print_json({"api": api, "user": username, "logged_in": True})
    else:
        click.echo(f"Logged in at {api} as {username}.")


def _asked(name: str, lines: Iterator[str] | None, *, again: str | None = None) -> str:
    """Return the next line of stdin, or what is typed."""
    if lines is None:
        if not output.interactive():
            raise click.UsageError(
                "A password is typed on a terminal. Without one, give it by --password-stdin."
            )
        typed: str = click.prompt(name, hide_input=True, confirmation_prompt=again or False, err=True)
        return typed
    line = next(lines, "")
    if not line:
        raise click.UsageError(f"{name}: there is no line for it on stdin.")
    return line


def _keep_address(session: Session) -> None:
    """Store the address, so that the commands that follow go to where the user has logged in."""
    stored = config.load()
    profile = session.access.profile
    if session.access.explicit and not stored.get(profile).get("api"):
        config.save(stored.changed(profile, "api", session.access.api))


@click.command(
    epilog=examples(
        "scenemill logout",
    )
)
@json_option
@pass_session
def logout(session: Session, /, *, as_json: bool) -> None:
    """Log out, on this machine and at the API."""
    store = session.login_at(session.access.api)
    with store.locked():
        tokens = store.load()
        if tokens is not None:
            log_out(session.access.api, tokens)
            store.save(None)
    if as_json:
        output.print_json({"api": session.access.api, "logged_out": tokens is not None})
    else:
        click.echo("Logged out." if tokens else f"Nobody was logged in at {session.access.api}.")
