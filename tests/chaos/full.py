"""A folder that is full: a small file system over it, filled to the last byte."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    """Hide the folder behind a full one, which has the same folders in it, for as long as the block lasts. Needs root."""
    inner = [one.name for one in folder.iterdir() if one.is_dir()]
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0755", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"A full folder needs a mount, and that needs root: {done.stderr.strip()}")
    try:
        for name in inner:
            (folder / name).mkdir()
        with contextlib.suppress(OSError), (folder / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(b"\0" * 4096)
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
