"""Options that several commands take."""

from __future__ import annotations

from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import click

from scenemill.cli.access import Options
from scenemill.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON on stdout, and nothing else there."
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
force_option = click.option("--force", is_flag=True, help="Replace files that are there already.")
yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Longest time to wait. What runs goes on after it; exit code 8.",
)
limit_option = click.option(
    "--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="The most to list."
)
folder_option = click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder for the files; made if need be."
)


def pass_session(function: Callable[Concatenate[Session, P], T]) -> Callable[P, T]:
    """Call a command's function with the session of this run."""

    @click.pass_context
    def with_session(context: click.Context, /, *args: P.args, **kwargs: P.kwargs) -> T:
        options = context.find_root().obj or Options()
        return function(Session(options), *args, **kwargs)

    return update_wrapper(with_session, function)
