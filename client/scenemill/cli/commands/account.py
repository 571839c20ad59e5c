"""`scenemill usage` and `scenemill keys`: what the account has used, and what opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.text import Text

from scenemill.cli import output
from scenemill.cli.groups import Group
from scenemill.cli.help import examples
from scenemill.cli.options import json_option, pass_session, yes_option

if TYPE_CHECKING:
    from rich.table import Table

    from scenemill.cli.session import Session
    from scenemill.types.accounts import Quotas, StorageUsage

SCOPES = ("jobs:read", "jobs:write", "assets:read", "assets:write", "templates:write", "keys:write", "admin")


@click.command(
    epilog=examples(
        "scenemill usage --months 3",
    )
)
@click.option("--months", type=click.IntRange(1, 60), metavar="N", help="How many months to show.")
@json_option
@pass_session
def usage(session: Session, /, months: int | None, *, as_json: bool) -> None:
    """Show what the account has used by month, what it stores, and what it may use."""
    with session.connect() as api:
        found = api.usage(months=months)
    if as_json:
        output.print_json(found)
        return
    table = output.table("Month", "Used", "Amount", "Cost", right=("Amount", "Cost"))
    for month in found.months:
        table.add_row(month.month, "", "", f"{month.cost:g}", style="bold")
        for name, spent in month.used.items():
            table.add_row("", name.replace("_", " "), f"{spent.amount:,g}", f"{spent.cost:g}")
    output.show(table, Text(), _storage(found.storage), Text(), _quotas(found.quotas))


def _storage(stored: StorageUsage) -> Table:
    return output.facts(
        [
            ("Stored", output.size(stored.bytes)),
            ("  assets", output.size(stored.assets)),
            ("  artifacts", output.size(stored.artifacts)),
            ("  cache", output.size(stored.cache)),
        ]
    )


def _quotas(quotas: Quotas) -> Table:
    budget = (
        "none" if quotas.budget is None else f"{quotas.budget:g}, {quotas.budget_left or 0:g} left this month"
    )
    return output.facts(
        [
            ("Budget", budget),
            ("Assets", f"{output.size(quotas.asset_bytes)} at most"),
            ("Running jobs", f"{quotas.running_jobs} at most"),
            ("Jobs in a batch", f"{quotas.batch_jobs:,} at most"),
        ]
    )


@click.group(cls=Group)
def keys() -> None:
    """List, create and revoke API keys."""


@keys.command(
    "list",
    epilog=examples(
        "scenemill keys list",
    ),
)
@json_option
@pass_session
def list_keys(session: Session, /, *, as_json: bool) -> None:
    """List the account's API keys. With --json, one JSON line a key."""
    with session.connect() as api:
        found = api.keys.list()
    if as_json:
        for key in found:
            output.print_json(key)
        return
    table = output.table("Key", "Name", "Scopes", "Created", "")
    table.columns[2].no_wrap = False
    for key in found:
        revoked = Text("revoked", style="red") if key.revoked_at else Text()
        table.add_row(key.id, key.name, " ".join(key.scopes), output.ago(key.created_at), revoked)
    output.show(table)


@keys.command(
    "create",
    epilog=examples(
        "scenemill keys create website --scope jobs:read --scope jobs:write",
    ),
)
@click.argument("name")
@click.option("--scope", "scopes", type=click.Choice(SCOPES), multiple=True, required=True, metavar="SCOPE",
              help=f"What the key opens: {', '.join(SCOPES)}. May be given several times.")  # fmt: skip
@json_option
@pass_session
def create_key(session: Session, /, name: str, scopes: tuple[str, ...], *, as_json: bool) -> None:
    """Create an API key and print it. It is shown this once."""
    with session.connect() as api:
        made = api.keys.create(name, scopes)  # type: ignore[arg-type]  # click has checked the choices
    if as_json:
        output.print_json(made)
        return
    click.echo(made.key)
    output.stderr().print(
        f"Keep it now: it is not shown again. Revoke it: scenemill keys revoke {made.id}", style="dim"
    )


@keys.command(
    "revoke",
    epilog=examples(
        "scenemill keys revoke --yes 4f1c2a",
    ),
)
@click.argument("key_id")
@yes_option
@json_option
@pass_session
def revoke_key(session: Session, /, key_id: str, *, yes: bool, as_json: bool) -> None:
    """Revoke an API key. Whoever uses it is refused from then on."""
    output.confirm(f"Revoke the key {key_id}?", yes=yes)
    with session.connect() as api:
        api.keys.revoke(key_id)
    if as_json:
        output.print_json({"id": key_id, "revoked": True})
    else:
        click.echo(f"{key_id}: revoked")
