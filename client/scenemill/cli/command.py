"""The `scenemill` command. What needs the server (up, demo, operator, doctor) comes from whoever installed the server."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scenemill.auth import TokenAuth, by_password, log_in, log_out
from scenemill.cli.display import describe, facts
from scenemill.cli.jobs import follow, read_job, render
from scenemill.cli.saved import Saved
from scenemill.client import Scenemill
from scenemill.errors import ApiError, ScenemillError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scenemill.types import Kind, Status

GROUP = "scenemill.commands"
ASPECTS = ("16:9", "9:16", "1:1", "4:5", "4:3", "21:9")
RESOLUTIONS = ("360p", "480p", "720p", "1080p", "1440p", "2160p")
ERRORS = Console(stderr=True)


@dataclass(frozen=True)
class Server:
    """Where the API is, and with which key it is asked."""

    url: str
    key: str | None

    def connect(self) -> Scenemill:
        """Open a connection by the key, or by the log-in that was saved, or say what is missing."""
        if self.key:
            return Scenemill(self.url, self.key)
        if self.saved.load() is None:
            raise click.UsageError(
                "An API key is needed: --key, or SCENEMILL_API_KEY in the environment. Or log in: scenemill login."
            )
        return Scenemill(self.url, auth=TokenAuth(store=self.saved))

    @property
    def saved(self) -> Saved:
        """Return where the log-in at this API is kept."""
        return Saved(Path(click.get_app_dir("scenemill")) / "logins.json", self.url)


class Commands(click.Group):
    """The client's commands, and those that others add; these are imported only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands."""
        return sorted({*super().list_commands(ctx), *entry_points(group=GROUP).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command of the client, or one that was added."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        for entry in entry_points(group=GROUP, name=cmd_name):
            added: click.Command = entry.load()
            return added
        return None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--api", "url", envvar="SCENEMILL_API", default="http://127.0.0.1:8000", show_default=True,
              help="Address of the API. [env: SCENEMILL_API]")  # fmt: skip
@click.option("--key", envvar="SCENEMILL_API_KEY", help="API key. [env: SCENEMILL_API_KEY]")
@click.version_option(package_name="scenemill")
@click.pass_context
def cli(context: click.Context, url: str, key: str | None) -> None:
    """Turn scripts into videos."""
    context.obj = Server(url, key)


@cli.command("render")
@click.argument("script", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path),
              help="Folder for the files.  [default: the script's name, here]")  # fmt: skip
@click.option("--media", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Folder of the local media that the script names.  [default: the script's folder]")  # fmt: skip
@click.option(
    "--output", "output_json", help='More of the job\'s output, as JSON: \'{"formats": ["mp4", "gif"]}\'.'
)
@click.option("--aspect", type=click.Choice(ASPECTS))
@click.option("--resolution", type=click.Choice(RESOLUTIONS))
@click.option("--fps", type=int)
@click.option("--quality", type=click.Choice(("draft", "standard", "high")))
@click.option("--json", "as_json", is_flag=True, help="Print the finished task as one JSON line.")
@click.pass_obj
def render_command(
    server: Server,
    /,
    script: Path,
    out: Path | None,
    media: Path | None,
    output_json: str | None,
    *,
    as_json: bool,
    **choices: Any,
) -> None:
    """Render SCRIPT, a script or a whole job as JSON, and download the files."""
    output = _output(output_json) | {name: value for name, value in choices.items() if value is not None}
    job = read_job(script, output)
    folder, target = media or script.parent, out or Path(script.stem)
    console = ERRORS if as_json else Console()
    with server.connect() as api:
        done = render(api, job, folder=folder, out=target, console=console, label=script.stem)
    if as_json:
        print_json({**done.task.raw, "files": {name: str(path) for name, path in done.files.items()}})
        return
    for path in done.files.values():
        console.print(str(path), markup=False, highlight=False, soft_wrap=True)
    for line in facts(done.task):
        console.print(line, markup=False)


@cli.command("write")
@click.argument("topic", required=False)
@click.option(
    "--source", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A text to make scenes of."
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="File for the script.  [default: stdout]"
)
@click.option("--language", help="BCP 47 tag, such as en or pt-BR.")
@click.option("--audience")
@click.option("--tone")
@click.option("--duration", type=float, help="Seconds.")
@click.option("--scenes", type=int)
@click.pass_obj
def write_command(
    server: Server, /, topic: str | None, source: Path | None, out: Path | None, **choices: Any
) -> None:
    """Have a script written about TOPIC, or from a text."""
    if (topic is None) == (source is None):
        raise click.UsageError("Give a topic, or --source, and not both.")
    about = {"topic": topic} if topic is not None else {"source_text": source.read_text() if source else ""}
    brief = about | {name: value for name, value in choices.items() if value is not None}
    with server.connect() as api:
        task = follow(api, api.jobs.submit({"kind": "script", "brief": brief}), ERRORS, "script")
    text = json.dumps(task.result and task.result.script, ensure_ascii=False, indent=2) + "\n"
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")


@cli.command("jobs")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@click.option("--status", help="queued, running, succeeded, failed, canceled…")
@click.option("--kind", help="video or script")
@click.option("--json", "as_json", is_flag=True, help="One JSON line a task.")
@click.pass_obj
def jobs_command(server: Server, limit: int, status: str | None, kind: str | None, *, as_json: bool) -> None:
    """List tasks, newest first."""
    with server.connect() as api:
        tasks = api.tasks.list(limit=limit, status=cast("Status", status), kind=cast("Kind", kind))
        if as_json:
            for task in tasks:
                print_json(task.raw)
            return
        table = Table(box=None)
        table.add_column("task", no_wrap=True, min_width=36)  # whole: it is what the other commands take
        for name in ("kind", "status", "progress", "created"):
            table.add_column(name)
        for task in tasks:
            created = str(task.raw.get("created_at") or "")
            table.add_row(task.task_id, task.kind, escape(describe(task)), f"{task.progress:.0%}", created)
    Console().print(table)


@cli.command("status")
@click.argument("task_id")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def status_command(server: Server, task_id: str, *, as_json: bool) -> None:
    """Show one task."""
    with server.connect() as api:
        task = api.tasks.get(task_id)
    if as_json:
        print_json(task.raw)
        return
    console = Console()
    console.print(f"{task.kind} {task.status} {task.progress:.0%}", describe(task), markup=False)
    for scene in task.scenes:
        console.print(f"  {scene.id}: {scene.status}{' (cached)' if scene.cached else ''}", markup=False)
    for line in facts(task):
        console.print(line, markup=False)
    if task.error:
        console.print(task.error.detail or task.error.title, style="red", markup=False)


@cli.command("cancel")
@click.argument("task_ids", metavar="TASK_ID...", nargs=-1, required=True)
@click.pass_obj
def cancel_command(server: Server, task_ids: Iterable[str]) -> None:
    """End tasks that are not finished."""
    with server.connect() as api:
        for task_id in task_ids:
            api.tasks.cancel(task_id)
            click.echo(f"{task_id}: canceling")


@cli.command("login")
@click.option("--user", "username", prompt="User", help="Asked for when it is not given.")
@click.pass_obj
def login_command(server: Server, /, username: str) -> None:
    """Log in by password, for all commands here until `scenemill logout`."""
    password = click.prompt("Password", hide_input=True)
    try:
        tokens = log_in(server.url, by_password(username, password))
    except ApiError as error:
        if error.code != "password-change-needed":
            raise
        click.echo("This password is good for setting another.", err=True)
        new = click.prompt("New password", hide_input=True, confirmation_prompt="Again")
        tokens = log_in(server.url, by_password(username, password, new_password=new))
    with server.saved.locked():
        server.saved.save(tokens)
    click.echo(f"Logged in at {server.url} as {username}.")


@cli.command("logout")
@click.pass_obj
def logout_command(server: Server, /) -> None:
    """End the log-in, here and at the server."""
    with server.saved.locked():
        tokens = server.saved.load()
        if tokens is not None:
            log_out(server.url, tokens)
            server.saved.save(None)
    click.echo("Logged out." if tokens else "Nobody was logged in.")


@cli.command("upload")
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON line a file.")
@click.pass_obj
def upload_command(server: Server, /, files: Iterable[Path], *, as_json: bool) -> None:
    """Upload files to be named in scripts. A large one goes on where it broke off, also if you start again."""
    with server.connect() as api:
        for path in files:
            with ERRORS.status(f"Uploading {escape(path.name)}"):
                asset = api.assets.upload(path)
            if as_json:
                print_json({"file": str(path), **asset.raw})
            else:
                click.echo(f"asset:{asset.asset_id}  {path}")


def print_json(value: Any) -> None:
    """Print one JSON line on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False))


def _output(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError as error:
        raise click.UsageError(f"--output is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise click.UsageError("--output is not a JSON object.")
    return value


def main() -> None:
    """Run the command. Exit codes: 1 the job failed, 2 wrong use, 3 refused, 4 no answer, 5 damaged, 130 Ctrl-C."""
    try:
        code = cli.main(standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except ScenemillError as error:
        ERRORS.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        code = error.exit_code
    sys.exit(code)
