"""`scenemill tasks`: what runs, what ran, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scenemill.cli import output, rendering, targets, task_views
from scenemill.cli.following import follow_task
from scenemill.cli.groups import Group
from scenemill.cli.help import examples
from scenemill.cli.options import (
    folder_option,
    force_option,
    json_option,
    limit_option,
    pass_session,
    quiet_option,
    timeout_option,
    yes_option,
)

if TYPE_CHECKING:
    from scenemill.cli.session import Session
    from scenemill.types.tasks import Task

STATUSES = ("queued", "running", "canceling", "succeeded", "failed", "canceled")
KINDS = ("video", "script")

task_id_argument = click.argument("task_id")
task_ids_argument = click.argument("task_ids", metavar="TASK_ID...", nargs=-1, required=True)


@click.group(cls=Group)
def tasks() -> None:
    """List, watch, cancel, retry, download and delete tasks. A task is the run of a job."""


@tasks.command(
    "list",
    epilog=examples(
        "scenemill tasks list --status running",
        "scenemill tasks list --status failed --json | jq -r .task_id",
    ),
)
@limit_option
@click.option(
    "--status", type=click.Choice(STATUSES), multiple=True, help="Only these. May be given several times."
)
@click.option("--kind", type=click.Choice(KINDS), help="Only these.")
@click.option("--batch", metavar="BATCH_ID", help="Only those of a batch.")
@click.option(
    "--after", metavar="TIME", help="Only those created after a time, such as 2026-01-31T12:00:00Z."
)
@click.option("--before", metavar="TIME", help="Only those created before a time.")
@click.option("--search", metavar="TEXT", help="Only those with this custom_id, or with metadata NAME:VALUE.")
@json_option
@pass_session
def list_tasks(session: Session, /, *, as_json: bool, **options: Any) -> None:
    """List tasks, newest first. With --json, one JSON line a task."""
    with session.connect() as api:
        found = api.tasks.list(
            status=options["status"] or None,
            kind=options["kind"],
            batch=options["batch"],
            created_after=options["after"],
            created_before=options["before"],
            q=options["search"],
            limit=options["limit"],
        )
        if as_json:
            for task in found:
                output.print_json(task)
            return
        task_views.print_tasks(found)


@tasks.command(
    "show",
    epilog=examples(
        "scenemill tasks show TASK_ID",
    ),
)
@task_id_argument
@json_option
@pass_session
def show_task(session: Session, /, task_id: str, *, as_json: bool) -> None:
    """Show a task: how far it is, its scenes, its files, or why it failed."""
    with session.connect() as api:
        task = api.tasks.get(task_id)
    if as_json:
        output.print_json(task)
    else:
        task_views.print_task(task)


@tasks.command(
    "watch",
    epilog=examples(
        "scenemill tasks watch TASK_ID && echo done",
    ),
)
@task_id_argument
@timeout_option
@quiet_option
@click.option("--json", "as_json", is_flag=True, help="Print each change as one JSON line.")
@pass_session
def watch_task(
    session: Session, /, task_id: str, *, timeout: float | None, quiet: bool, as_json: bool
) -> None:
    """Watch a task until it has ended. The exit code is 0 where it has succeeded, and 1 otherwise."""
    console = output.stderr()
    with session.connect() as api:
        task = api.tasks.get(task_id)
        if as_json:
            ended = api.tasks.wait(task, on_change=output.print_json, timeout=timeout, check=False)
        else:
            ended = follow_task(api, task, label=task.kind, console=console, quiet=quiet, timeout=timeout)
    rendering.succeeded(ended)
    if not as_json and not quiet:
        click.echo(f"{task_id}: succeeded")
        console.print(f"Download it: scenemill tasks download {task_id}", style="dim")


@tasks.command(
    "cancel",
    epilog=examples(
        "scenemill tasks cancel TASK_ID",
    ),
)
@task_ids_argument
@json_option
@pass_session
def cancel_tasks(session: Session, /, task_ids: tuple[str, ...], *, as_json: bool) -> None:
    """Cancel tasks that have not ended."""
    with session.connect() as api:
        for task_id in task_ids:
            _print_state(api.tasks.cancel(task_id), as_json=as_json)


@tasks.command(
    "retry",
    epilog=examples(
        "scenemill tasks retry TASK_ID",
    ),
)
@task_ids_argument
@json_option
@pass_session
def retry_tasks(session: Session, /, task_ids: tuple[str, ...], *, as_json: bool) -> None:
    """Run failed or canceled tasks again. What is rendered of them is used again."""
    with session.connect() as api:
        for task_id in task_ids:
            _print_state(api.tasks.retry(task_id), as_json=as_json)


def _print_state(task: Task, *, as_json: bool) -> None:
    if as_json:
        output.print_json(task)
    else:
        click.echo(f"{task.task_id}: {task.status}")


@tasks.command(
    "delete",
    epilog=examples(
        "scenemill tasks delete --yes TASK_ID",
    ),
)
@task_ids_argument
@yes_option
@json_option
@pass_session
def delete_tasks(session: Session, /, task_ids: tuple[str, ...], *, yes: bool, as_json: bool) -> None:
    """Delete finished tasks with their files."""
    what = "this task" if len(task_ids) == 1 else f"these {len(task_ids)} tasks"
    output.confirm(f"Delete {what} and all files of it?", yes=yes)
    with session.connect() as api:
        for task_id in task_ids:
            api.tasks.delete(task_id)
            if as_json:
                output.print_json({"task_id": task_id, "deleted": True})
            else:
                click.echo(f"{task_id}: deleted")


@tasks.command(
    "download",
    epilog=examples(
        "scenemill tasks download TASK_ID --out reef",
        "scenemill tasks download TASK_ID --output-file reef.mp4",
    ),
)
@task_id_argument
@folder_option
@click.option("--output-file", type=click.Path(path_type=Path), metavar="PATH",
              help="Download one file, to this path: the video, or what --name says.")  # fmt: skip
@click.option(
    "--name",
    metavar="NAME",
    help="Which file --output-file is, such as captions.srt.  [default: by its ending]",
)
@force_option
@json_option
@pass_session
def download_task(session: Session, /, task_id: str, *, as_json: bool, **options: Any) -> None:
    """Download what a task has made: all files into a folder, or one to a path."""
    path, name = options["output_file"], options["name"]
    if path and options["out"]:
        raise click.UsageError("Give --out for all files, or --output-file for one, and not both.")
    if name and not path:
        raise click.UsageError("--name says which file --output-file is. Give both.")
    if path:
        targets.check_file(path, force=options["force"])
    with session.connect() as api:
        task = rendering.succeeded(api.tasks.get(task_id))
        target: Path | targets.OneFile = options["out"] or Path(task_id)
        if path:
            target = _one_file(task, path, name)
        done = rendering.download(
            api, task, target, force=options["force"], screen=rendering.Screen(output.stderr())
        )
    if as_json:
        output.print_json(
            {"task_id": task_id, "files": {one: str(found) for one, found in done.files.items()}}
        )
    else:
        for found in done.files.values():
            click.echo(str(found))


def _one_file(task: Task, path: Path, name: str | None) -> targets.OneFile:
    """Return which artifact a path is to be: the one of this name, else the first with the same ending."""
    names = [one.name for one in task.artifacts]
    fitting = [
        one for one in names if one == name or (name is None and one.endswith(path.suffix.lower() or ".mp4"))
    ]
    if not fitting:
        raise click.UsageError(
            f"The task has no such file. It has: {', '.join(names) or 'none'}. Choose with --name."
        )
    return targets.OneFile(path, fitting[0])
