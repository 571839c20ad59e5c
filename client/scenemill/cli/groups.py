"""Groups of commands that load a command when it is called, keep old names, and know what a typing error meant."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from scenemill.cli.help import Context, in_colour

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NEAR, TIE = 0.6, 0.1  # of 1, which is the same word
SERVER_COMMANDS = "scenemill.commands"  # entry points of the server's distribution


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a sentence that asks for the nearest known words, or nothing where none is near."""
    near = difflib.get_close_matches(word, sorted(known), n=3, cutoff=NEAR)
    best = [one for one in near if _likeness(word, one) > _likeness(word, near[0]) - TIE]
    return f" Did you mean {' or '.join(best)}?" if best else ""


def _likeness(word: str, other: str) -> float:
    return difflib.SequenceMatcher(None, word, other).ratio()


class Group(click.Group):
    """A group that suggests the command that a typing error is near to."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name, or raise UsageError."""
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing and not name.startswith("-"):
            near = did_you_mean(name, self.list_commands(ctx))
            raise click.UsageError(f"There is no command {name!r}.{near}", ctx)
        return super().resolve_command(ctx, args)


@dataclass(frozen=True)
class Lazy:
    """Where a command is defined, and the line that the list of commands shows for it."""

    where: str
    help: str

    def load(self) -> click.Command:
        """Import the command."""
        module, _, attribute = self.where.partition(":")
        return in_colour(getattr(import_module(module), attribute))


@dataclass(frozen=True)
class Section:
    """A part of the list of commands."""

    title: str
    commands: Mapping[str, Lazy] = field(default_factory=dict)


class RootGroup(Group):
    """All commands: those of the client, by sections, and those that an installed server adds by entry points."""

    context_class = Context

    def __init__(
        self,
        *args: Any,
        sections: tuple[Section, ...] = (),
        aliases: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.sections = sections
        self.aliases = dict(aliases or {})
        self._lazy = {name: one for section in sections for name, one in section.commands.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands but the old ones."""
        return sorted({*super().list_commands(ctx), *self._lazy, *entry_points(group=SERVER_COMMANDS).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, loaded, or None."""
        if cmd_name in self.aliases:
            return self._aliased(ctx, self.aliases[cmd_name])
        if cmd_name in self._lazy:
            return self._lazy[cmd_name].load()
        for entry in entry_points(group=SERVER_COMMANDS, name=cmd_name):
            return in_colour(entry.load())
        return super().get_command(ctx, cmd_name)

    def _aliased(self, ctx: click.Context, target: str) -> click.Command | None:
        """Return the command that an old name stands for, such as `tasks list`."""
        command: click.Command | None = self
        for word in target.split():
            command = command.get_command(ctx, word) if isinstance(command, click.Group) else None
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that begin so, without loading a command of the client."""
        known = {name: one.help for name, one in self._lazy.items()}
        known |= dict(self._added(ctx))
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [
            CompletionItem(name, help=known[name]) for name in sorted(known) if name.startswith(incomplete)
        ] + options

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands by sections, without loading those of the client."""
        for section in self.sections:
            with formatter.section(section.title):
                formatter.write_dl([(name, one.help) for name, one in section.commands.items()])
        if added := self._added(ctx):
            with formatter.section("On this machine"):
                formatter.write_dl(added)

    def _added(self, ctx: click.Context) -> list[tuple[str, str]]:
        """Return the commands that others add, with what each does."""
        return [
            (name, self._short_help(ctx, name)) for name in sorted(entry_points(group=SERVER_COMMANDS).names)
        ]

    def _short_help(self, ctx: click.Context, name: str) -> str:
        try:
            command = self.get_command(ctx, name)
        except ImportError as error:  # a server that is half installed must not take the help away
            return f"Cannot be loaded: {error}"
        return command.get_short_help_str(limit=90) if command else ""
