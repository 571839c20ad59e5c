"""Reads what a font file says of itself: how high its lines are, and which characters it draws."""

from __future__ import annotations

import struct
from bisect import bisect_right
from functools import cache
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

WANTED = (
    (3, 10),
    (0, 4),
    (0, 6),
    (3, 1),
    (0, 3),
)  # platform and encoding of a character map, the best one first


@cache
def line_ratio(path: Path) -> float:
    """Return how high a line is, in ems, as the file's ascent and descent have it for Windows."""
    with path.open("rb") as file:
        tables = _tables(file)
        file.seek(tables[b"OS/2"] + 74)
        ascent, descent = struct.unpack(">HH", file.read(4))
        file.seek(tables[b"head"] + 18)
        (units,) = struct.unpack(">H", file.read(2))
    return float(ascent + descent) / float(units)


def covers(path: Path, code: int) -> bool:
    """Say whether the file has a glyph for a character."""
    starts, ends = _covered(path)
    place = bisect_right(starts, code) - 1
    return place >= 0 and code <= ends[place]


@cache
def _covered(path: Path) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the first and the last character of each range that the file draws, in order."""
    with path.open("rb") as file:
        start = _tables(file)[b"cmap"]
        file.seek(start)
        (count,) = struct.unpack(">2xH", file.read(4))
        maps = {entry[:2]: entry[2] for entry in (struct.unpack(">HHI", file.read(8)) for _ in range(count))}
        chosen = next(maps[each] for each in WANTED if each in maps)
        file.seek(start + chosen)
        (form,) = struct.unpack(">H", file.read(2))
        ranges = _groups(file) if form == 12 else _segments(file)
    ordered = sorted(ranges)
    return tuple(first for first, _ in ordered), tuple(last for _, last in ordered)


def _groups(file: BinaryIO) -> list[tuple[int, int]]:
    """Read a character map of format 12."""
    (count,) = struct.unpack(">10xI", file.read(14))
    return [struct.unpack(">II4x", file.read(12)) for _ in range(count)]


def _segments(file: BinaryIO) -> list[tuple[int, int]]:
    """Read a character map of format 4; its last segment only marks the end."""
    (twice,) = struct.unpack(">4xH6x", file.read(12))
    count = twice // 2
    ends = struct.unpack(f">{count}H2x", file.read(twice + 2))
    starts = struct.unpack(f">{count}H", file.read(twice))
    return list(zip(starts, ends, strict=True))[:-1]


def _tables(file: BinaryIO) -> dict[bytes, int]:
    """Return where each table of an OpenType file begins."""
    (count,) = struct.unpack(">4xH6x", file.read(12))
    entries = [struct.unpack(">4s4xI4x", file.read(16)) for _ in range(count)]
    return dict(entries)
