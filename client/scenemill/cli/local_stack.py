"""Finds the stack that `scenemill up` runs for the current folder: its address and its API key."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ".scenemill"
STATE_FILE = "up.json"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class LocalStack:
    """A data folder and the stack on it. `api` and `key` are None where it does not run; `note` says why."""

    folder: Path
    api: str | None = None
    key: str | None = None
    note: str = ""


def find(start: Path) -> LocalStack | None:
    """Return the stack of the nearest `.scenemill` in a folder or above it, or None where there is no such folder."""
    for parent in (start, *start.parents):
        folder = parent / FOLDER
        if folder.is_dir():
            return _read(folder)
    return None


def _read(folder: Path) -> LocalStack:
    path = folder / STATE_FILE
    try:
        # A folder that another user put above ours could send our scripts and media to a server of theirs.
        if path.stat().st_uid != os.geteuid():
            return LocalStack(folder, note=f"{path} belongs to another user and is not used")
        state = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return LocalStack(folder, note=f"no stack runs on {folder}")
    except (OSError, ValueError) as error:
        return LocalStack(folder, note=f"{path} cannot be read: {error}")
    return _checked(folder, state)


def _checked(folder: Path, state: Any) -> LocalStack:
    """Return the stack of a state file, without its address where the stack that wrote it no longer runs."""
    try:
        api, key = str(state["api"]), str(state["api_key"])
        supervisors = [int(pid) for pid in state["pids"]["supervisor"]]
    except (KeyError, TypeError, ValueError):
        return LocalStack(folder, note=f"{folder / STATE_FILE} is not a state file of a stack")
    if urlsplit(api).hostname not in LOOPBACK:
        return LocalStack(folder, note=f"{folder / STATE_FILE} names an address that is not on this machine")
    if not any(map(_alive, supervisors)):
        return LocalStack(folder, note=f"the stack on {folder} was killed")
    return LocalStack(folder, api.rstrip("/"), key)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
