"""`scenemill batch`: many jobs at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from scenemill.cli import batch_files, documents, output, rendering, targets, task_views
from scenemill.cli.following import counts_line, follow_batch
from scenemill.cli.groups import Group
from scenemill.cli.help import complete_file, examples
from scenemill.cli.options import (
    folder_option,
    force_option,
    json_option,
    pass_session,
    quiet_option,
    timeout_option,
)
from scenemill.cli.requests import refused_with_hints

if TYPE_CHECKING:
    from scenemill import Scenemill
    from scenemill.cli.session import Session
    from scenemill.types.batches import AcceptedBatch, Batch

FORMATS = ("json", "ndjson", "csv")
ENDINGS = {".json": "json", ".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv"}
FAILED = 1

batch_id_argument = click.argument("batch_id")


@click.group(cls=Group)
def batch() -> None:
    """Submit many jobs at once, and follow them together."""


@batch.command(
    "submit",
    epilog=examples(
        "scenemill batch submit jobs.ndjson",
        "scenemill batch submit people.csv --template greeting --wait",
    ),
)
@click.argument("file", shell_complete=complete_file)
@click.option(
    "--format", "kind", type=click.Choice(FORMATS), help="What FILE holds.  [default: by its ending]"
)
@click.option("--template", metavar="TEMPLATE_ID", help="Template that the rows of a CSV table fill.")
@click.option(
    "--template-version", type=int, metavar="N", help="Version of the template.  [default: the newest]"
)
@click.option(
    "--skip-invalid", is_flag=True, help="Accept the valid jobs, and list the others. Else all are refused."
)
@click.option("--webhook", metavar="URL", help="Address to call when the last task has ended.")
@click.option("--wait", is_flag=True, help="Watch the batch until all tasks have ended.")
@timeout_option
@quiet_option
@json_option
@pass_session
def submit_batch(session: Session, /, file: str, **options: Any) -> None:
    """Submit the jobs of FILE, or of stdin where it is -.

    FILE is a JSON list of jobs (or a batch with its defaults), NDJSON with a job a line, or a CSV table whose columns
    are the fields of a template.
    """
    kind = options["kind"] or ENDINGS.get(Path(file).suffix.lower())
    if kind is None:
        raise click.UsageError(
            f"What {file} holds cannot be told by its name. Say it: --format json, ndjson or csv."
        )
    if (kind == "csv") != bool(options["template"]):
        raise click.UsageError(
            "A CSV table needs the template that its rows fill: --template; and nothing else has one."
        )
    content = sys.stdin.buffer.read() if file == documents.STDIN else documents.read_file(Path(file))
    with session.connect() as api:
        accepted = _submit(api, kind, content, "stdin" if file == documents.STDIN else file, options)
        if not options["wait"]:
            _print_accepted(accepted, as_json=options["as_json"], quiet=options["quiet"])
            return
        ended = follow_batch(
            api,
            api.batches.get(accepted.batch_id),
            console=output.stderr(),
            quiet=options["quiet"],
            timeout=options["timeout"],
        )
    _print_batch(ended, as_json=options["as_json"])
    _exit_as(ended)


def _submit(api: Scenemill, kind: str, content: bytes, name: str, options: dict[str, Any]) -> AcceptedBatch:
    """Send the jobs in the form that they have."""
    more: dict[str, Any] = {
        "on_invalid": "skip" if options["skip_invalid"] else None,
        "webhook": {"url": options["webhook"]} if options["webhook"] else None,
    }
    if kind == "csv":
        return api.batches.submit_csv(
            content, options["template"], template_version=options["template_version"], **more
        )
    file = (batch_files.read_lines if kind == "ndjson" else batch_files.read_json)(content, name)
    chosen = {**file.options, **{key: value for key, value in more.items() if value is not None}}
    with refused_with_hints(file.posted):
        return api.batches.submit(file.jobs, **chosen)


def _print_accepted(accepted: AcceptedBatch, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        output.print_json(accepted)
        return
    click.echo(accepted.batch_id)
    console = output.stderr()
    for skipped in accepted.skipped:
        for place in skipped.errors:
            console.print(
                Text.assemble((f"Skipped job {skipped.index}: ", "yellow"), f"{place.pointer} {place.detail}")
            )
    if not quiet:
        console.print(
            f"{output.count(len(accepted.task_ids), 'task')} accepted, {len(accepted.skipped)} skipped.\n"
            f"Watch them: scenemill batch watch {accepted.batch_id}",
            style="dim",
        )


@batch.command(
    "show",
    epilog=examples(
        "scenemill batch show BATCH_ID",
    ),
)
@batch_id_argument
@click.option(
    "--limit", type=click.IntRange(0, 10_000), default=20, show_default=True, help="The most tasks to list."
)
@json_option
@pass_session
def show_batch(session: Session, /, batch_id: str, limit: int, *, as_json: bool) -> None:
    """Show how far a batch is, and its tasks in the order of its jobs."""
    with session.connect() as api:
        found = api.batches.get(batch_id)
        _print_batch(found, as_json=as_json)
        if not as_json and limit:
            output.show(Text())
            task_views.print_tasks(api.batches.tasks(batch_id, limit=limit))


@batch.command(
    "watch",
    epilog=examples(
        "scenemill batch watch BATCH_ID",
    ),
)
@batch_id_argument
@timeout_option
@quiet_option
@json_option
@pass_session
def watch_batch(
    session: Session, /, batch_id: str, *, timeout: float | None, quiet: bool, as_json: bool
) -> None:
    """Watch a batch until all its tasks have ended. The exit code is 1 where one of them has not succeeded."""
    with session.connect() as api:
        found = api.batches.get(batch_id)
        ended = follow_batch(api, found, console=output.stderr(), quiet=quiet, timeout=timeout)
    _print_batch(ended, as_json=as_json)
    _exit_as(ended)


@batch.command(
    "results",
    epilog=examples(
        "scenemill batch results BATCH_ID > results.ndjson",
        "scenemill batch results BATCH_ID --out videos",
    ),
)
@batch_id_argument
@folder_option
@force_option
@json_option
@pass_session
def batch_results(
    session: Session, /, batch_id: str, out: Path | None, *, force: bool, as_json: bool
) -> None:
    """Print every task of a batch as one JSON line, in the order of its jobs; or with --out, download their files.

    With --out, the files of each task go into a folder of their own in DIR, named by its custom_id, else by its id.
    """
    if out is not None:
        targets.check_folder(out, (), force=force)
    with session.connect() as api:
        for task in api.batches.results(batch_id):
            if out is None:
                output.print_json(task)
            elif task.status == "succeeded":
                _download(api, task, out, force=force, as_json=as_json)
            elif not as_json:
                output.stderr().print(f"{task.task_id}: {task.status}, nothing to download", style="yellow")


def _download(api: Scenemill, task: Any, out: Path, *, force: bool, as_json: bool) -> None:
    folder = out / folder_name(task.custom_id or task.task_id)
    files = rendering.download(api, task, folder, force=force, screen=rendering.Screen(output.stderr())).files
    if as_json:
        output.print_json(
            {
                "task_id": task.task_id,
                "custom_id": task.custom_id,
                "files": {n: str(p) for n, p in files.items()},
            }
        )
        return
    for path in files.values():
        click.echo(str(path))


def folder_name(text: str) -> str:
    """Return a text as the name of one folder, whatever is in it."""
    name = "".join(one if one.isalnum() or one in "-_. " else "_" for one in text).strip()
    return name if name.strip(".") else f"_{name}"


@batch.command(
    "cancel",
    epilog=examples(
        "scenemill batch cancel BATCH_ID",
    ),
)
@batch_id_argument
@json_option
@pass_session
def cancel_batch(session: Session, /, batch_id: str, *, as_json: bool) -> None:
    """Cancel every task of a batch that has not ended."""
    with session.connect() as api:
        _print_batch(api.batches.cancel(batch_id), as_json=as_json)


@batch.command(
    "retry",
    epilog=examples(
        "scenemill batch retry BATCH_ID",
    ),
)
@batch_id_argument
@json_option
@pass_session
def retry_batch(session: Session, /, batch_id: str, *, as_json: bool) -> None:
    """Run every failed task of a batch again."""
    with session.connect() as api:
        _print_batch(api.batches.retry(batch_id), as_json=as_json)


def _print_batch(found: Batch, *, as_json: bool) -> None:
    if as_json:
        output.print_json(found)
        return
    output.show(
        output.facts(
            [
                ("Batch", found.batch_id),
                ("Status", output.status(found.status)),
                ("Progress", f"{found.progress:.0%}"),
                ("Tasks", counts_line(found)),
                ("Created", output.local_time(found.created_at)),
                ("Finished", output.local_time(found.finished_at)),
            ]
        )
    )


def _exit_as(ended: Batch) -> None:
    if ended.counts.get("failed") or ended.counts.get("canceled"):
        raise click.exceptions.Exit(FAILED)
