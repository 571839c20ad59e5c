"""`scenemill config`: the address and the key that commands use."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from scenemill.cli import access, output
from scenemill.cli import config as configuration
from scenemill.cli.groups import Group
from scenemill.cli.help import examples
from scenemill.cli.options import json_option, pass_session

if TYPE_CHECKING:
    from scenemill.cli.session import Session

PROFILE = "profile"
NAMES = (*configuration.SETTINGS, PROFILE)


@click.group(cls=Group)
def config() -> None:
    """Show and set the address and the key that commands use."""


@config.command(
    "show",
    epilog=examples(
        "scenemill config show",
    ),
)
@json_option
@pass_session
def show_config(session: Session, /, *, as_json: bool) -> None:
    """Show which address and key are used in this folder, and where they come from. Keys are shown by their beginning."""
    found = session.access
    stored = configuration.load()
    if as_json:
        output.print_json(
            {
                "api": found.api,
                "api_source": found.api_source,
                "key": found.key_hint or None,
                "key_source": found.key_source or None,
                "profile": found.profile,
                "profiles": sorted(stored.profiles),
                "file": str(configuration.path()),
            }
        )
        return
    key = f"{found.key_hint}  ({found.key_source})" if found.key else found.key_source or "none"
    output.show(
        output.facts(
            [
                ("API", f"{found.api}  ({found.api_source})"),
                ("Key", key),
                ("Profile", found.profile),
                ("Profiles", ", ".join(sorted(stored.profiles)) or "none"),
                ("File", configuration.path()),
            ]
        )
    )


@config.command(
    "set",
    epilog=examples(
        "scenemill config set api https://video.example.com",
        "scenemill config set key",
        "scenemill --profile staging config set api https://staging.example.com",
        "scenemill config set profile staging",
    ),
)
@click.argument("name", type=click.Choice(NAMES))
@click.argument("value", required=False)
@json_option
@pass_session
def set_config(session: Session, /, name: str, value: str | None, *, as_json: bool) -> None:
    """Set the address (api), the key, or the profile that is used by default. A key that is not given is asked for.

    Other profiles are set by the option --profile before the command. An empty value removes a setting.
    """
    stored = configuration.load()
    if value is None:
        if not output.interactive():
            raise click.UsageError("Give a value. It is asked for on a terminal alone.")
        value = click.prompt(
            name.capitalize(), hide_input=name == "key", default="", show_default=False, err=True
        )
    profile = session.options.profile or stored.profile
    if name == PROFILE:
        profile, changed = value, _with_profile(stored, value)
    else:
        changed = _with_setting(stored, profile, name, value)
    configuration.save(changed)
    if as_json:
        output.print_json({"profile": profile, "name": name, "set": bool(value)})
    elif name == PROFILE:
        click.echo(f"Profile {value!r} is used by default.")
    else:
        click.echo(f"{name} of profile {profile!r} is {'set' if value else 'removed'}.")


def _with_setting(stored: configuration.Config, profile: str, name: str, value: str) -> configuration.Config:
    if name == "api" and value:
        value = access.checked_address(value, "The address")
    if name == "key" and value and not stored.get(profile).get("api"):
        raise click.UsageError(
            "A key is stored with the address that it is for. Set that first: scenemill config set api URL"
        )
    return stored.changed(profile, name, value or None)


def _with_profile(stored: configuration.Config, profile: str) -> configuration.Config:
    if profile not in stored.profiles:
        known = ", ".join(sorted(stored.profiles)) or "none"
        raise click.UsageError(f"There is no profile {profile!r}. Known profiles: {known}.")
    return replace(stored, profile=profile)


@config.command(
    "path",
    epilog=examples(
        'cat "$(scenemill config path)"',
    ),
)
@json_option
def config_path(*, as_json: bool) -> None:
    """Print where the configuration is kept."""
    if as_json:
        output.print_json({"file": str(configuration.path())})
    else:
        click.echo(str(configuration.path()))
