"""`scenemill templates`: scripts with fields to fill."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from scenemill.cli import documents, output
from scenemill.cli.groups import Group
from scenemill.cli.help import complete_file, examples
from scenemill.cli.hints import Posted, in_text
from scenemill.cli.options import json_option, limit_option, pass_session, yes_option
from scenemill.cli.requests import refused_with_hints

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scenemill.cli.session import Session


@click.group(cls=Group)
def templates() -> None:
    """List, show, store and delete templates: scripts with fields."""


@templates.command(
    "list",
    epilog=examples(
        "scenemill templates list",
    ),
)
@limit_option
@json_option
@pass_session
def list_templates(session: Session, /, limit: int, *, as_json: bool) -> None:
    """List templates: yours, and those that are built in. With --json, one JSON line a template."""
    with session.connect() as api:
        found = api.templates.list(limit=limit)
        if as_json:
            for one in found:
                output.print_json(one)
            return
        table = output.table("Template", "Version", "Description", right=("Version",))
        table.columns[2].no_wrap = False
        for one in found:
            version = "built in" if one.built_in else str(one.version)
            table.add_row(one.template_id, version, one.description or one.title)
    output.show(table)


@templates.command(
    "show",
    epilog=examples(
        "scenemill templates show quote",
        "scenemill templates show quote --script > quote.json",
    ),
)
@click.argument("template_id")
@click.option("--version", type=int, metavar="N", help="Version of the template.  [default: the newest]")
@click.option(
    "--script",
    "script_only",
    is_flag=True,
    help="Print what `put` takes: the script and the fields, as JSON.",
)
@json_option
@pass_session
def show_template(
    session: Session, /, template_id: str, version: int | None, *, script_only: bool, as_json: bool
) -> None:
    """Show a template and its fields."""
    with session.connect() as api:
        found = api.templates.get(template_id, version=version)
    if as_json:
        output.print_json(found)
        return
    if script_only:
        names = ("title", "description", "fields", "script")
        click.echo(
            json.dumps(
                {name: found.raw[name] for name in names if name in found.raw}, ensure_ascii=False, indent=2
            )
        )
        return
    output.show(
        output.facts(
            [
                ("Template", found.template_id),
                ("Title", found.title),
                ("Description", found.description),
                ("Version", "built in" if found.built_in else found.version),
                ("Scenes", len(found.script.get("scenes", ()))),
                ("Created", output.local_time(found.created_at)),
            ]
        )
    )
    table = output.table("Field", "Type", "", "Description")
    table.columns[3].no_wrap = False
    for name, field in found.fields.items():
        table.add_row(name, field.get("type", ""), _needed(field), field.get("description", ""))
    output.show(Text(), table)


def _needed(field: Mapping[str, Any]) -> str:
    return "optional" if field.get("optional") or "default" in field else "required"


@templates.command(
    "put",
    epilog=examples(
        "scenemill templates put greeting greeting.json",
    ),
)
@click.argument("template_id")
@click.argument("file", shell_complete=complete_file)
@json_option
@pass_session
def put_template(session: Session, /, template_id: str, file: str, *, as_json: bool) -> None:
    """Store FILE as a template, or as a new version of it. FILE is JSON with `script` and `fields`; - is stdin."""
    document = documents.read(file)
    with (
        session.connect() as api,
        refused_with_hints(Posted(document.content, document.name, in_text(document.text))),
    ):
        stored = api.templates.put(template_id, document.content)
    if as_json:
        output.print_json(stored)
    else:
        click.echo(f"{stored.template_id}: version {stored.version}")


@templates.command(
    "delete",
    epilog=examples(
        "scenemill templates delete --yes greeting",
    ),
)
@click.argument("template_id")
@yes_option
@json_option
@pass_session
def delete_template(session: Session, /, template_id: str, *, yes: bool, as_json: bool) -> None:
    """Delete a template with all its versions."""
    output.confirm(f"Delete the template {template_id!r} with all its versions?", yes=yes)
    with session.connect() as api:
        api.templates.delete(template_id)
    if as_json:
        output.print_json({"template_id": template_id, "deleted": True})
    else:
        click.echo(f"{template_id}: deleted")
