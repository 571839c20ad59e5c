"""`scenemill voices` and `scenemill themes`: what scripts may name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from scenemill.cli import output
from scenemill.cli.help import examples
from scenemill.cli.options import json_option, pass_session

if TYPE_CHECKING:
    from scenemill.cli.session import Session


@click.command(
    epilog=examples(
        "scenemill voices --language de",
    )
)
@click.option("--language", metavar="TAG", help="Only those that speak a language, such as en or pt-BR.")
@json_option
@pass_session
def voices(session: Session, /, language: str | None, *, as_json: bool) -> None:
    """List the voices that a script may name. With --json, one JSON line a voice."""
    with session.connect() as api:
        found = api.voices.list(language)
    if as_json:
        for voice in found:
            output.print_json(voice)
        return
    if not found:
        output.stderr().print("There are no such voices.", style="dim")
        return
    table = output.table("Voice", "Language", "Title")
    for voice in found:
        table.add_row(voice.name, voice.language, voice.title)
    output.show(table)


@click.command(
    epilog=examples(
        "scenemill themes",
    )
)
@json_option
@pass_session
def themes(session: Session, /, *, as_json: bool) -> None:
    """List the themes that a script may name. With --json, one JSON line a theme."""
    with session.connect() as api:
        found = api.themes.list()
    for theme in found:
        if as_json:
            output.print_json(theme)
        else:
            click.echo(theme.name)
