"""The user's configuration: profiles, each with an address and a key, in a file that only its owner can read."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import click

Profiles: TypeAlias = dict[str, dict[str, str]]

DEFAULT_PROFILE = "default"
SETTINGS = ("api", "key")


class ConfigInvalid(click.ClickException):
    """The configuration file cannot be used."""

    exit_code = 2


@dataclass(frozen=True)
class Config:
    """Profiles by name, and which of them is used where neither an option nor the environment names one."""

    profiles: Profiles
    profile: str = DEFAULT_PROFILE

    def get(self, profile: str) -> dict[str, str]:
        """Return the settings of a profile: none where there is no such profile."""
        return self.profiles.get(profile, {})

    def changed(self, profile: str, name: str, value: str | None) -> Config:
        """Return a configuration in which a setting has another value, or none."""
        settings = {**self.get(profile), name: value}
        kept = {one: text for one, text in settings.items() if text is not None}
        profiles = {**self.profiles, profile: kept}
        return replace(self, profiles={one: found for one, found in profiles.items() if found})


def path() -> Path:
    """Return where the configuration is kept."""
    return folder() / "config.json"


def folder() -> Path:
    """Return the user's folder for configuration and logins."""
    return Path(click.get_app_dir("scenemill"))


def load() -> Config:
    """Return the configuration, an empty one where there is no file, or raise ConfigInvalid."""
    try:
        text = path().read_text(encoding="utf-8")
    except FileNotFoundError:
        return Config({})
    try:
        return _read(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigInvalid(
            f"{path()} cannot be used: {error}. Correct it, or remove it and set your values again by `scenemill config set`."
        ) from error


def save(config: Config) -> None:
    """Write the configuration, whole or not at all, so that only its owner can read it."""
    path().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path().with_suffix(".part")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as target:
        # A draft that an earlier version left behind may be readable by others.
        os.fchmod(target.fileno(), 0o600)
        json.dump({"profile": config.profile, "profiles": config.profiles}, target, indent=2)
        target.write("\n")
    draft.replace(path())


def _read(document: Any) -> Config:
    profiles: Profiles = {}
    for name, settings in document.get("profiles", {}).items():
        if unknown := set(settings) - set(SETTINGS):
            raise ValueError(f"profile {name!r} has an unknown setting {min(unknown)!r}")
        if not all(isinstance(value, str) for value in settings.values()):
            raise TypeError(f"profile {name!r} has a value that is not a string")
        profiles[name] = dict(settings)
    return Config(profiles, str(document.get("profile") or DEFAULT_PROFILE))
