"""The `scenemill` command: its general options and the list of its commands.

This module and what it imports stay light: `scenemill --help` and shell completion must not wait for the HTTP client.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

import click

from scenemill.cli import failures
from scenemill.cli.access import DEFAULT_API, Options
from scenemill.cli.groups import Lazy, RootGroup, Section

if TYPE_CHECKING:
    from io import TextIOWrapper

BELOW = "scenemill.cli.commands"
SECTIONS = (
    Section(
        "Make videos",
        {
            "render": Lazy(f"{BELOW}.render:render", "Make a video of a script and download it."),
            "write": Lazy(f"{BELOW}.write:write", "Write a script about a topic, or from a text."),
            "batch": Lazy(f"{BELOW}.batch:batch", "Submit many jobs at once, and follow them together."),
            "tasks": Lazy(f"{BELOW}.tasks:tasks", "List, watch, cancel, retry, download and delete tasks."),
        },
    ),
    Section(
        "What scripts use",
        {
            "assets": Lazy(f"{BELOW}.assets:assets", "Upload, list, download and delete files."),
            "templates": Lazy(f"{BELOW}.templates:templates", "List, show, store and delete templates."),
            "voices": Lazy(f"{BELOW}.library:voices", "List voices."),
            "themes": Lazy(f"{BELOW}.library:themes", "List themes."),
        },
    ),
    Section(
        "Account and settings",
        {
            "usage": Lazy(f"{BELOW}.account:usage", "Show what was used, what is stored, and the limits."),
            "keys": Lazy(f"{BELOW}.account:keys", "List, create and revoke API keys."),
            "login": Lazy(f"{BELOW}.login:login", "Log in by user name and password."),
            "logout": Lazy(f"{BELOW}.login:logout", "Log out, on this machine and at the API."),
            "config": Lazy(f"{BELOW}.config:config", "Show and set the address and the key."),
        },
    ),
)
OLD_NAMES = {
    "jobs": "tasks list",
    "status": "tasks show",
    "cancel": "tasks cancel",
    "upload": "assets upload",
}


def _epilog() -> str:
    """Return what stands below the list of commands: exit codes, the address, and shell completion."""
    codes = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in failures.EXIT_CODES.items())
    return (
        f"\b\nExit codes:\n{codes}\n\n"
        "The address and the key come from the options, else from SCENEMILL_API and SCENEMILL_API_KEY, else from "
        "`scenemill config` or `scenemill login`, else from the stack that `scenemill up` runs for this folder. "
        "--verbose says which.\n\n"
        'Shell completion: eval "$(_SCENEMILL_COMPLETE=bash_source scenemill)", also zsh_source and fish_source.'
    )


@click.group(
    cls=RootGroup,
    sections=SECTIONS,
    aliases=OLD_NAMES,
    epilog=_epilog(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--api", metavar="URL", help=f"Address of the API.  [env: SCENEMILL_API; default: {DEFAULT_API}]"
)
@click.option("--key", metavar="KEY", help="API key.  [env: SCENEMILL_API_KEY]")
@click.option("--profile", metavar="NAME", help="Profile of the configuration.  [env: SCENEMILL_PROFILE]")
@click.option(
    "-v", "--verbose", is_flag=True, help="Say which address and key are used, and where they come from."
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="scenemill")
@click.pass_context
def cli(
    context: click.Context,
    /,
    *,
    api: str | None,
    key: str | None,
    profile: str | None,
    verbose: bool,
    debug: bool,
) -> None:
    """Turn scripts into videos.

    Start: `scenemill up` runs everything on this machine, `scenemill render reef.json` makes a video.
    """
    context.obj = Options(api, key, profile, verbose, debug)


def main() -> None:
    """Run the command, and exit with a code of `failures.EXIT_CODES`."""
    for stream in (sys.stdout, sys.stderr):
        # A file name may be no text, and a terminal may know no Unicode: neither is an error.
        unicode = (stream.encoding or "").lower().replace("-", "") == "utf8"
        cast("TextIOWrapper", stream).reconfigure(errors="surrogateescape" if unicode else "replace")
    sys.exit(failures.run(cli))
