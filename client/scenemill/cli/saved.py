"""A log-in that outlives the command: tokens in a file that only its owner reads, one log-in for each API."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from scenemill.auth import Tokens

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Saved:
    """The log-in at one API. Two commands at once take turns with renewing it."""

    def __init__(self, file: Path, api: str) -> None:
        self._file, self._api = file, api.rstrip("/")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let no other command renew meanwhile. The kernel lets go when we end."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._file.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def load(self) -> Tokens | None:
        """Return the tokens, or None where nobody is logged in."""
        found = self._all().get(self._api)
        try:
            return Tokens(**found) if found else None
        except TypeError:
            return None  # written by another version

    def save(self, tokens: Tokens | None) -> None:
        """Keep the tokens, or forget them; a reader never sees half of it."""
        kept = {**self._all(), self._api: asdict(tokens) if tokens else None}
        draft = self._file.with_suffix(".part")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as target:
            json.dump({api: found for api, found in kept.items() if found}, target)
        draft.replace(self._file)

    def _all(self) -> dict[str, Any]:
        try:
            found = json.loads(self._file.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
