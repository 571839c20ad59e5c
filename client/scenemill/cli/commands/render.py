"""`scenemill render`: a script in, a video out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scenemill.cli import documents, dry_run, media, output, rendering, targets
from scenemill.cli.following import follow_task
from scenemill.cli.help import complete_file, examples
from scenemill.cli.hints import Posted, in_text
from scenemill.cli.options import (
    force_option,
    json_option,
    pass_session,
    quiet_option,
    timeout_option,
)
from scenemill.cli.requests import refused_with_hints

if TYPE_CHECKING:
    from scenemill.cli.session import Session
    from scenemill.cli.targets import OneFile
    from scenemill.types.tasks import Task

ASPECTS = ("16:9", "9:16", "1:1", "4:5", "4:3", "21:9")
RESOLUTIONS = ("360p", "480p", "720p", "1080p", "1440p", "2160p")
QUALITIES = ("draft", "standard", "high")
PRIORITIES = ("interactive", "normal", "bulk")


@dataclass(frozen=True)
class Plan:
    """What is to be rendered, where local media are, and where the files go."""

    job: dict[str, Any]
    posted: Posted
    folder: Path | None
    target: Path | OneFile
    label: str


@click.command(
    epilog=examples(
        "scenemill render reef.json",
        "scenemill render reef.json --output-file reef.mp4 --aspect 9:16 --open",
        "scenemill render reef.json --dry-run",
        "cat reef.json | scenemill render - --out reef --force",
    )
)
@click.argument("script", shell_complete=complete_file)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR",
              help="Folder for all files of the video.  [default: the script's name, in the current folder]")  # fmt: skip
@click.option("--output-file", type=click.Path(path_type=Path), metavar="PATH",
              help="Download the video alone, to this file: .mp4, .webm, .gif, or .mp3 for its sound.")  # fmt: skip
@force_option
@click.option("--media", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
              help="Folder of the local files that the script names.  [default: the script's folder]")  # fmt: skip
@click.option("--output", "output_json", metavar="JSON",
              help="More of the job's output: '{\"formats\": [\"mp4\", \"gif\"]}'.")  # fmt: skip
@click.option("--aspect", type=click.Choice(ASPECTS), help="Width to height.")
@click.option("--resolution", type=click.Choice(RESOLUTIONS), help="The short side, in lines.")
@click.option("--fps", type=int, help="Frames a second: 24, 25, 30, 50 or 60.")
@click.option("--quality", type=click.Choice(QUALITIES), help="Draft is quick, high is slow.")
@click.option("--priority", type=click.Choice(PRIORITIES), help="Before or after your other jobs.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Post nothing: say what is wrong, how long the video is and what it costs.",
)
@click.option("--detach", is_flag=True, help="Print the task's id and do not wait for the video.")
@click.option("--open", "open_it", is_flag=True, help="Open the video after the download.")
@timeout_option
@quiet_option
@json_option
@pass_session
def render(session: Session, /, script: str, **options: Any) -> None:
    """Make a video of SCRIPT and download it.

    SCRIPT is a JSON file, an http(s) URL of one, or - for stdin. It holds a script, or a whole job. Local pictures,
    clips and sounds that it names are uploaded first.
    """
    given = {
        name: options[name]
        for name in ("aspect", "resolution", "fps", "quality")
        if options[name] is not None
    }
    plan = _plan(script, _output(options["output_json"]) | given, options)
    if options["dry_run"]:
        _try(session, plan, as_json=options["as_json"])
    elif options["detach"]:
        _submit(session, plan, quiet=options["quiet"], as_json=options["as_json"])
    else:
        _render(session, plan, options)


def _plan(script: str, given: dict[str, Any], options: dict[str, Any]) -> Plan:
    """Read the script, and check where the files go before anything is posted."""
    if options["out"] and options["output_file"]:
        raise click.UsageError(
            "Give --out for all files, or --output-file for the video alone, and not both."
        )
    document = documents.read(script)
    job = documents.as_job(document, given)
    if options["priority"]:
        job["priority"] = options["priority"]
    if script.startswith(documents.WEB) and options["media"] is None and "script" in job:
        job["script"] = media.absolute(job["script"], script)
    target: Path | OneFile = options["out"] or Path(document.stem)
    writes = not options["dry_run"] and not options["detach"]
    if options["output_file"]:
        target, asked = targets.one_file(options["output_file"], job.get("output", {}))
        job = documents.merged_output(job, asked)
        if writes:
            targets.check_file(target.path, force=options["force"])
    elif writes and isinstance(target, Path):
        targets.check_folder(target, targets.expected(job.get("output", {})), force=options["force"])
    folder = options["media"] or document.folder or (Path() if script == documents.STDIN else None)
    inside = "" if document.is_job else "script"
    posted = Posted(job, document.name, in_text(document.text, inside))
    return Plan(job, posted, folder, target, document.stem)


def _try(session: Session, plan: Plan, *, as_json: bool) -> None:
    job = dict(plan.job)
    if "script" in job:
        local = media.files(job["script"], plan.folder)
        job["script"] = media.replaced(job["script"], dict.fromkeys(local, media.PLACEHOLDER + "file"))
    with session.connect() as api:
        tried = api.jobs.dry_run(job)
    if as_json:
        output.print_json(tried)
    else:
        output.show(*dry_run.report(tried, plan.posted))
    if not tried.valid:
        raise click.exceptions.Exit(dry_run.INVALID)


def _submit(session: Session, plan: Plan, *, quiet: bool, as_json: bool) -> None:
    with session.connect() as api, refused_with_hints(plan.posted):
        task = rendering.submit(
            api, plan.job, folder=plan.folder, screen=rendering.Screen(output.stderr(), quiet)
        )
    if as_json:
        output.print_json(task)
        return
    click.echo(task.task_id)
    if not quiet:
        output.stderr().print(
            f"Watch it: scenemill tasks watch {task.task_id}\nDownload it: scenemill tasks download {task.task_id}",
            style="dim",
        )


def _render(session: Session, plan: Plan, options: dict[str, Any]) -> None:
    console, quiet = output.stderr(), options["quiet"]
    screen = rendering.Screen(console, quiet)
    with session.connect() as api:
        with refused_with_hints(plan.posted):
            task = rendering.submit(api, plan.job, folder=plan.folder, screen=screen)
        ended = follow_task(
            api, task, label=plan.label, console=console, quiet=quiet, timeout=options["timeout"]
        )
        done = _downloaded(api, rendering.succeeded(ended), plan, screen, force=options["force"])
    if options["as_json"]:
        output.print_json({**done.task.raw, "files": {name: str(path) for name, path in done.files.items()}})
    else:
        _print(done, console, quiet=quiet)
    if options["open_it"]:
        _open(done, console)


def _downloaded(
    api: Any, task: Task, plan: Plan, screen: rendering.Screen, *, force: bool
) -> rendering.Rendered:
    """Download the files, or say how to do it later. A name that was not expected must not replace a file either."""
    try:
        return rendering.download(api, task, plan.target, force=force, screen=screen)
    except BaseException:
        output.stderr().print(f"The video is rendered. Download it: scenemill tasks download {task.task_id}")
        raise


def _print(done: rendering.Rendered, console: Any, *, quiet: bool) -> None:
    """Print the paths on stdout, for pipes, and what is worth knowing on stderr."""
    for path in done.files.values():
        click.echo(str(path))
    if not quiet:
        for line in rendering.facts(done.task):
            console.print(line, style="dim")


def _open(done: rendering.Rendered, console: Any) -> None:
    path = rendering.video_of(done.files)
    if path is None or click.launch(str(path)) != 0:
        console.print(
            "No program to open the video was found. Set BROWSER, or install xdg-open.", style="yellow"
        )


def _output(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    return documents.parse_object(text.encode(), "--output")
