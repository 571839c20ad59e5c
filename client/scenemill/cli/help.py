"""How help texts look: examples at their end, headings and names in colour on a terminal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from collections.abc import Iterable


def examples(*lines: str) -> str:
    """Return what stands at the end of a command's help: command lines to try, each on a line of its own."""
    title = "Example:" if len(lines) == 1 else "Examples:"
    return "\n".join(("\b", title, *(f"  {line}" for line in lines)))


def complete_file(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Have the shell complete a file name, for an argument that may also be something else."""
    return [CompletionItem(incomplete, type="file")]


def styled(text: str, **style: Any) -> str:
    """Return a text with this style, unless NO_COLOR is set or the terminal knows no colours.

    `click.echo` takes the style away again where it does not write to a terminal.
    """
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain else click.style(text, **style)


class Formatter(click.HelpFormatter):
    """Writes headings bold, and the names of commands and options in colour."""

    def write_heading(self, heading: str) -> None:
        """Write a heading."""
        super().write_heading(styled(heading, bold=True))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write names with what they mean."""
        super().write_dl([(styled(name, fg="cyan"), words) for name, words in rows], col_max, col_spacing)


class Context(click.Context):
    """A context whose help is written in colour."""

    formatter_class = Formatter


def in_colour(command: click.Command) -> click.Command:
    """Have the help of a command, and of those below it, written in colour."""
    command.context_class = Context
    if isinstance(command, click.Group):
        for below in command.commands.values():
            in_colour(below)
    return command
