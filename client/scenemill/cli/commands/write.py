"""`scenemill write`: a script from a brief."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scenemill.cli import documents, output, rendering, targets
from scenemill.cli.following import follow_task
from scenemill.cli.help import examples
from scenemill.cli.hints import Posted
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

DETAILS = ("language", "audience", "tone", "style", "duration", "scenes")


@click.command(
    epilog=examples(
        'scenemill write "How a reef is born" --scenes 5 > reef.json',
        "scenemill write --source article.txt --output-file article.json",
    )
)
@click.argument("topic", required=False)
@click.option("--source", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
              help="A text that becomes scenes, instead of TOPIC.")  # fmt: skip
@click.option(
    "--output-file",
    "--out",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="File for the script.  [default: stdout]",
)
@click.option("--language", metavar="TAG", help="Language of the script, such as en or pt-BR.")
@click.option("--audience", help="Whom it is for.")
@click.option("--tone", help="How it speaks.")
@click.option("--style", help="How it looks, such as news.")
@click.option("--duration", type=float, metavar="SECONDS", help="How long the video is to be.")
@click.option("--scenes", type=int, metavar="N", help="How many scenes.")
@force_option
@timeout_option
@quiet_option
@json_option
@pass_session
def write(
    session: Session, /, topic: str | None, source: Path | None, output_file: Path | None, **options: Any
) -> None:
    """Write a script about TOPIC, or from a text. `scenemill render` makes a video of it."""
    if (topic is None) == (source is None):
        raise click.UsageError("Give a topic, or a text by --source, and not both.")
    if output_file is not None:
        targets.check_file(output_file, force=options["force"])
    brief: dict[str, Any] = {"topic": topic} if source is None else {"source_text": _text(source)}
    brief |= {name: options[name] for name in DETAILS if options[name] is not None}
    job = {"kind": "script", "brief": brief}
    with session.connect() as api:
        with refused_with_hints(Posted(job)):
            task = api.jobs.submit(job)
        ended = follow_task(
            api,
            task,
            label="script",
            console=output.stderr(),
            quiet=options["quiet"],
            timeout=options["timeout"],
        )
    script = (rendering.succeeded(ended).raw.get("result") or {}).get("script")
    text = json.dumps(script, ensure_ascii=False, indent=2) + "\n"
    if output_file is not None:
        output_file.write_text(text, encoding="utf-8")
    if options["as_json"]:
        output.print_json(ended)
    else:
        click.echo(text if output_file is None else str(output_file), nl=output_file is not None)


def _text(source: Path) -> str:
    try:
        return source.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise documents.Unreadable(f"{source} is not UTF-8. Save it in that encoding.") from error
