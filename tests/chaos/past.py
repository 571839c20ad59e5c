"""The code of the former release: what the repository held before the newest of its first two migrations came."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parents[2]
SECOND = "shared/migrations/versions/0002_*.py"  # the first tables, and no others, are of the former release
ROOMS = ("shared", "tasks", "workers", "client")


def unpack(folder: Path) -> Mapping[str, str]:
    """Lay the former release down and return the environment in which Python runs it; skip where its history is not there."""
    added = _git("log", "--diff-filter=A", "--format=%H", "--", SECOND).decode().split()
    if not added or (HERE / ".git" / "shallow").exists():
        pytest.skip("The former release is not in this clone: its history is cut off.")
    with tarfile.open(fileobj=io.BytesIO(_git("archive", f"{added[-1]}^", *ROOMS))) as archive:
        archive.extractall(folder, filter="data")
    environment = {"PYTHONPATH": str(folder)}
    asked = [sys.executable, "-c", "import shared, tasks; print(shared.__file__, tasks.__file__)"]
    found = subprocess.run(asked, env=environment, cwd=folder, capture_output=True, text=True, check=True)
    assert found.stdout.split() == [str(folder / room / "__init__.py") for room in ("shared", "tasks")]
    assert len(list((folder / "shared/migrations/versions").glob("0*.py"))) == 1
    return environment


def _git(*words: str) -> bytes:
    done = subprocess.run(["git", "-C", str(HERE), *words], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"The former release cannot be had: {done.stderr.decode().strip() or 'no git'}")
    return done.stdout
