"""What the server adds to the `scenemill` command: up, demo, operator and doctor."""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from scenemill.cli.help import examples

FOLDER = Path(".scenemill")
API_PORT, FLOWER_PORT = 8000, 5555

data_option = click.option(
    "--data",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=FOLDER,
    show_default=True,
    help="Folder of the database, the files and the logs.",
)


class StackFailed(click.ClickException):
    """The local stack did not come up."""

    exit_code = 6


@click.command(epilog=examples("scenemill up", "scenemill up --port 8001 --data /var/lib/scenemill"))
@click.option("--port", type=click.IntRange(0, 65_535), default=API_PORT, show_default=True,
              help="Port of the API. 0: free ports for everything.")  # fmt: skip
@click.option("--flower-port", type=click.IntRange(0, 65_535),
              help=f"Port of Flower. 0: a free one.  [default: {FLOWER_PORT} if it is free, else a free one]")  # fmt: skip
@click.option(
    "--renders",
    type=click.IntRange(1, 64),
    help="Segments rendered at a time.  [default: by the number of cores]",
)
@click.option("--verbose", is_flag=True, help="Print the log of all programs too, not only to the log file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line when all is ready, and no table.")
@click.option(
    "--broker",
    envvar="SCENEMILL_BROKER_URL",
    help="URL of RabbitMQ or another Redis, instead of the bundled one.  [env: SCENEMILL_BROKER_URL]",
)
@click.option(
    "--redis",
    envvar="SCENEMILL_REDIS_URL",
    help="URL of another Redis for counters and caches.  [env: SCENEMILL_REDIS_URL]",
)
@click.option(
    "--storage",
    envvar="SCENEMILL_STORAGE_URL",
    help="Where files are stored, such as s3://bucket/prefix, instead of the data folder.  [env: SCENEMILL_STORAGE_URL]",
)
@data_option
def up(  # noqa: PLR0913 (a parameter an option)
    folder: Path,
    port: int,
    flower_port: int | None,
    renders: int | None,
    broker: str | None,
    redis: str | None,
    storage: str | None,
    *,
    verbose: bool,
    as_json: bool,
) -> None:
    """Run all of Scenemill on this machine until Ctrl-C."""
    from workers.local import run as local  # noqa: PLC0415 (the client's commands must not wait for this import)
    from workers.local.ports import is_free  # noqa: PLC0415
    from workers.local.stack import StackOptions, default_renders  # noqa: PLC0415
    from workers.local.state import AlreadyRunning  # noqa: PLC0415
    from workers.local.supervisor import StartFailed  # noqa: PLC0415

    if flower_port is None:
        # A second stack, with another folder and port, must not fail for a port that nobody asked for.
        flower_port = FLOWER_PORT if port and is_free(FLOWER_PORT) else 0
    options = StackOptions(
        folder=folder.resolve(),
        api_port=port or None,
        flower_port=flower_port or None,
        renders=renders or default_renders(),
        broker_url=broker or None,
        redis_url=redis or None,
        storage_url=storage or None,
    )
    on_ready = _print_line if as_json else partial(_print_table, time.monotonic())
    if not as_json:
        click.echo("Starting Postgres, Redis, the API and the workers …", err=True)
    try:
        local.run(options, terminal=sys.stderr, verbose=verbose, on_ready=on_ready)
    except (AlreadyRunning, local.FolderTaken, local.PortTaken, StartFailed) as error:
        raise StackFailed(str(error)) from error


def _print_line(addresses: dict[str, Any]) -> bool:
    print(json.dumps(addresses), flush=True)  # noqa: T201 (what the caller reads)
    return True


def _print_table(began: float, addresses: dict[str, Any]) -> bool:
    rows = (
        ("Open", f"{addresses['api']}/"),
        ("Reference", f"{addresses['api']}/docs"),
        (
            "Flower",
            f"{addresses['flower']}/  (user and password: {addresses['flower_auth'].replace(':', ', ', 1)})",
        ),
        ("Metrics", addresses["metrics"]["api"]),
        ("Log", addresses["log"]),
        ("API key", addresses["api_key"]),
    )
    from rich.console import Console  # noqa: PLC0415 (the list of commands must not wait for this import)
    from rich.markup import escape  # noqa: PLC0415

    console = Console(soft_wrap=True, highlight=False)
    took = time.monotonic() - began
    console.print(f"Scenemill is up after {took:.0f} s. Press Ctrl-C to stop it.", style="bold green")
    for name, value in rows:  # a table of rich would cut a key off in a narrow window
        console.print(f"  [dim]{name:<10}[/]{escape(value)}")
    return True


@click.command(epilog=examples("scenemill demo"))
@data_option
def demo(folder: Path) -> None:
    """Render examples/reef.json on a stack of this machine, and print where the video is."""
    from rich.console import Console  # noqa: PLC0415 (the client's commands must not wait for these imports)

    from workers.local import demo as show  # noqa: PLC0415

    show.run(folder.resolve(), Console(soft_wrap=True))


@click.command(epilog=examples("scenemill operator ada"))
@click.argument("username")
@click.option("--account", default="default", show_default=True, help="Account that a new user belongs to.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line.")
@data_option
def operator(username: str, account: str, folder: Path, *, as_json: bool) -> None:
    """Make USERNAME an operator and print a one-time password.

    Use it for the first operator, and for one who has forgotten the password; the API makes other users. It works on
    the installation that the environment's settings name, else on the stack that runs on the data folder.
    """
    from pydantic import ValidationError  # noqa: PLC0415 (the client's commands must not wait for these imports)

    from shared.errors import ServiceError  # noqa: PLC0415
    from shared.security.users import USERNAME_PATTERN  # noqa: PLC0415
    from shared.settings import settings  # noqa: PLC0415
    from workers import first_operator  # noqa: PLC0415
    from workers.local.state import State  # noqa: PLC0415

    if not re.fullmatch(USERNAME_PATTERN, username):
        raise click.UsageError("A name has letters, digits and . _ @ + -, a letter or digit first.")
    try:
        url = settings().database_url
    except ValidationError:
        url = (State(folder.resolve()).addresses() or {}).get("database_url", "")
    if not url:
        raise click.UsageError(f"Nothing runs on {folder}, and no settings name another installation.")
    try:
        password = first_operator.create_or_reset_operator(url, username, account)
    except ServiceError as error:
        raise StackFailed(error.detail) from error
    click.echo(json.dumps({"user": username.lower(), "password": password}) if as_json else password)


@click.command(epilog=examples("scenemill doctor"))
@click.option(
    "--ffmpeg",
    envvar="SCENEMILL_FFMPEG",
    help="Path of another ffmpeg than the bundled one.  [env: SCENEMILL_FFMPEG]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line.")
@click.option(
    "--broker", envvar="SCENEMILL_BROKER_URL", help="URL of a broker to check.  [env: SCENEMILL_BROKER_URL]"
)
@click.option(
    "--redis", envvar="SCENEMILL_REDIS_URL", help="URL of a Redis to check.  [env: SCENEMILL_REDIS_URL]"
)
@data_option
def doctor(folder: Path, ffmpeg: str | None, broker: str | None, redis: str | None, *, as_json: bool) -> None:
    """Check what is installed on this machine, in which version, and what is too old or missing."""
    from rich.console import Console  # noqa: PLC0415 (the client's commands must not wait for these imports)
    from rich.table import Table  # noqa: PLC0415

    from workers.doctor import run_checks  # noqa: PLC0415
    from workers.server_checks import check_server  # noqa: PLC0415

    findings = run_checks(folder.resolve(), ffmpeg=ffmpeg)
    findings += [
        check_server(name, url) for name, url in (("broker", broker), ("Redis by URL", redis)) if url
    ]
    fine = all(finding.state != "missing" for finding in findings)
    if as_json:
        click.echo(json.dumps({"ok": fine, "findings": [asdict(finding) for finding in findings]}))
    else:
        styles = {"ok": "green", "note": "yellow", "missing": "bold red"}
        table = Table("", "found", "version", "where", "", box=None)
        console = Console()
        if not console.is_terminal:
            console.width = 200
        for one in findings:
            state = f"[{styles[one.state]}]{one.state}[/]"
            table.add_row(state, one.name, one.version, one.where, one.note)
        console.print(table)
    if not fine:
        raise SystemExit(1)
