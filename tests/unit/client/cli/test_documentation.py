"""docs/command.md names every command, and its table of exit codes is the one that the command has."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from scenemill.cli import failures
from scenemill.cli.command import OLD_NAMES, cli

PAGE = (Path(__file__).parents[4] / "docs" / "command.md").read_text()
RUN = "\n".join(re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL))
# What runs until Ctrl-C, and what renders for minutes, are shown and not run: tests/integration/stack does.
SHOWN = {"up", "demo"}


def paths(command, context, above=()):
    """Give the words of every command."""
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        if isinstance(found, click.Group):
            yield from paths(found, context, (*above, name))
        else:
            yield " ".join((*above, name))


@pytest.mark.parametrize("path", sorted(paths(cli, click.Context(cli))))
def test_every_command_is_run_by_the_page(path):
    if path in SHOWN:
        assert f"`scenemill {path}`" in PAGE
    else:
        assert re.search(rf"scenemill (-\S+ )*(--profile \w+ )?{path}\b", RUN)


def test_the_exit_codes_are_those_of_the_command():
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", PAGE, flags=re.MULTILINE)

    assert {int(code): meaning for code, meaning in rows} == failures.EXIT_CODES


def test_the_former_names_are_told():
    assert all(f"`{new}`" in PAGE for new in OLD_NAMES.values())
    assert all(old in PAGE.rpartition("## Former names")[2] for old in OLD_NAMES)
