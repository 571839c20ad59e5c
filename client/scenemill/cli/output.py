"""Prints: results on stdout, everything else on stderr; colour on a terminal alone, and as `NO_COLOR` asks."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import RenderableType

ID_WIDTH = 36
UNLIMITED = 10_000  # columns of a pipe: what reads it wants whole lines
STYLES = {
    "succeeded": "green",
    "finished": "green",
    "failed": "bold red",
    "running": "cyan",
    "canceling": "yellow",
    "queued": "yellow",
    "canceled": "dim",
}


def stdout() -> Console:
    """Return the console of results."""
    return _console(stderr=False)


def stderr() -> Console:
    """Return the console of progress, hints and errors."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else UNLIMITED
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def show(*parts: RenderableType) -> None:
    """Print tables and texts on stdout; into a pipe without the spaces that fill up their lines."""
    if not parts:
        return
    console = stdout()
    if console.is_terminal:
        console.print(*parts, sep="\n")
        return
    with console.capture() as captured:
        console.print(*parts, sep="\n")
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def print_json(value: Any) -> None:
    """Print one JSON line. What the encoding of stdout lacks is escaped."""
    text = json.dumps(plain(value), ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        text = json.dumps(plain(value))
    click.echo(text)


def plain(value: Any) -> Any:
    """Return a value of the API as the JSON that it was read from."""
    raw = getattr(value, "raw", value)
    return dict(raw) if isinstance(raw, Mapping) else raw


def table(*columns: str, right: Sequence[str] = (), ids: bool = False) -> Table:
    """Return an empty table. With `ids` its first column is never cut: other commands take what it holds."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, name in enumerate(columns):
        made.add_column(
            name,
            justify="right" if name in right else "left",
            no_wrap=True,
            overflow="ellipsis",
            min_width=ID_WIDTH if ids and number == 0 else None,
        )
    return made


def facts(rows: Iterable[tuple[str, Any]]) -> Table:
    """Return names with their values, without those that are None or empty."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        if value not in (None, "", ()):
            made.add_row(name, value if isinstance(value, Text | Table) else str(value))
    return made


def status(word: str, shown: str | None = None) -> Text:
    """Return a status in its colour."""
    return Text(shown or word, style=STYLES.get(word, ""))


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """Return how long ago something was, in its largest unit."""
    if moment is None:
        return ""
    seconds = max(0.0, ((now or datetime.now(UTC)) - moment).total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{int(seconds)} s ago"


def local_time(moment: datetime | None) -> str:
    """Return a moment in the time zone of this machine."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}" if moment else ""


def count(number: int, noun: str) -> str:
    """Return a number with its noun, such as `1 segment` or `2 segments`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size(amount: float) -> str:
    """Return a number of bytes in its largest unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def seconds(length: float | None) -> str:
    """Return a length of time, such as `3.5 s` or `2 min 05 s`."""
    if length is None:
        return ""
    if length < 60:
        return f"{length:.1f} s"
    return f"{int(length // 60)} min {int(length % 60):02} s"


def interactive() -> bool:
    """Tell whether a person can answer a question."""
    return sys.stdin.isatty()


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is lost, or raise Abort; without a terminal, `--yes` is the answer."""
    if yes:
        return
    if not interactive():
        raise click.UsageError(f"{question} Confirm with --yes.")
    click.confirm(question, abort=True, err=True)
