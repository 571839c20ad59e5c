"""By how much memory grows with what is uploaded: the same number of files at once, of several sizes, one size after the other.

The first way reads an upload whole, so its memory is the sum of what is under way; what streams holds no more of a large one.
"""

from __future__ import annotations

import os
import time
import wave
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psutil

from bench import measure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bench.control.gains import Side

    Send = Callable[[Side, Path], object]

SIZES = (16_000_000, 64_000_000, 256_000_000)  # bytes; an asset may have 2 GiB where nothing else is set
TOGETHER = 8


def measured(sides: Sequence[Side], send: Send, folder: Path, *, quick: bool) -> list[dict[str, Any]]:
    """Return for each size what the processes of each side held before the uploads and, at most, during them."""
    found = []
    for size in SIZES[:2] if quick else SIZES:
        file = noise(folder / f"{size}.wav", size)
        row: dict[str, Any] = {"bytes": file.stat().st_size}
        for side in sides:
            row[side.name] = _sent(side, send, file)
        file.unlink()
        found.append(row)
    return found


def _sent(side: Side, send: Send, file: Path) -> dict[str, Any]:
    before = held(side.pid)
    began = time.monotonic()
    with measure.Watch(side.pid, side.groups) as watch, ThreadPoolExecutor(TOGETHER) as pool:
        for each in [pool.submit(send, side, file) for _ in range(TOGETHER)]:
            each.result(600)
    return {"held": before, "memory": dict(watch.most), "seconds": time.monotonic() - began}


def held(pid: int) -> int:
    """Return what a process and all below it hold now."""
    return sum(measure.pss(process.pid) for process in measure.tree(psutil.Process(pid)))


def noise(path: Path, size: int) -> Path:
    """Write a sound file of about so many bytes."""
    block = os.urandom(1 << 20)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(48_000)
        for _ in range(max(1, size // len(block))):
            file.writeframes(block)
    return path
