"""Decides which API is called and with which key: option, environment, configuration or login, local stack."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scenemill.cli.config import Config
    from scenemill.cli.local_stack import LocalStack

DEFAULT_API = "http://127.0.0.1:8000"
API_VARIABLE, KEY_VARIABLE, PROFILE_VARIABLE = "SCENEMILL_API", "SCENEMILL_API_KEY", "SCENEMILL_PROFILE"


@dataclass(frozen=True)
class Options:
    """What the options before the command say."""

    api: str | None = None
    key: str | None = None
    profile: str | None = None
    verbose: bool = False
    debug: bool = False


@dataclass(frozen=True)
class Access:
    """An API's address and the key to it, each with the place that it comes from.

    Without a key, `logged_in` says whether a login at the address is stored.
    """

    api: str
    api_source: str
    profile: str
    key: str | None = field(default=None, repr=False)
    key_source: str = ""
    logged_in: bool = False
    explicit: bool = False

    @property
    def key_hint(self) -> str:
        """Return the key's beginning, by which its owner knows it and nobody can use it."""
        if self.key is None:
            return ""
        return self.key[:12] + "…" if len(self.key) > 16 else "…"


def decide(
    options: Options,
    environment: Mapping[str, str],
    config: Config,
    local: LocalStack | None,
    logged_in: Callable[[str], bool],
) -> Access:
    """Return the access that these places lead to."""
    profile = options.profile or environment.get(PROFILE_VARIABLE) or config.profile
    if profile not in config.profiles and (options.profile or environment.get(PROFILE_VARIABLE)):
        known = ", ".join(sorted(config.profiles)) or "none"
        raise click.UsageError(
            f"There is no profile {profile!r}. Known profiles: {known}. "
            f"Make it: scenemill config set api URL --profile {profile}"
        )
    settings = config.get(profile)
    stored = f"profile {profile!r} of the configuration"
    api, source = _first(
        (options.api, "--api"),
        (environment.get(API_VARIABLE), API_VARIABLE),
        (settings.get("api"), stored),
        (local.api if local else None, f"the stack on {local.folder}" if local else ""),
        (DEFAULT_API, "the default"),
    )
    api = checked_address(api or "", source)
    key, key_source = _first(
        (options.key, "--key"),
        (environment.get(KEY_VARIABLE), KEY_VARIABLE),
        # A stored key goes to the address that it is stored with, and to no other.
        (settings.get("key") if api == settings.get("api", "").rstrip("/") else None, stored),
    )
    login = key is None and logged_in(api)
    if key is None and not login and local is not None and api == local.api:
        key, key_source = local.key, f"the stack on {local.folder}"
    return Access(
        api=api,
        api_source=source,
        profile=profile,
        key=key,
        key_source="a login" if login else key_source,
        logged_in=login,
        explicit=source in ("--api", API_VARIABLE),
    )


def checked_address(api: str, source: str) -> str:
    """Return an address without its last slash, or raise UsageError where it is none of an API."""
    try:
        parts = urlsplit(api)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise click.UsageError(
            f"{source} is {api!r}, which is not the address of an API. Give one such as {DEFAULT_API}."
        )
    return api.rstrip("/")


def _first(*found: tuple[str | None, str]) -> tuple[str | None, str]:
    """Return the first value that is not empty, with its source."""
    return next(((value, source) for value, source in found if value), (None, ""))
