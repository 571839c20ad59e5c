"""Reads a font file's line height and its coverage of characters."""

from __future__ import annotations

from bisect import bisect_right
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from fontTools.ttLib import TTFont


@cache
def line_ratio(path: Path) -> float:
    """Return the height of a line in ems: the Windows ascent plus descent, which libass scales a face by."""
    with _open(path) as font:
        height = font["OS/2"].usWinAscent + font["OS/2"].usWinDescent
        return float(height / font["head"].unitsPerEm)


def covers(path: Path, code: int) -> bool:
    """Return whether the file has a glyph for a character."""
    starts, ends = _covered_ranges(path)
    index = bisect_right(starts, code) - 1
    return index >= 0 and code <= ends[index]


@cache
def _covered_ranges(path: Path) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the first and the last character of each range that the file draws, in order.

    Ranges take a hundredth of the memory of fontTools' map, which names a glyph for each of 30,000 characters.
    """
    with _open(path) as font:
        codes = sorted(font["cmap"].getBestCmap())
    starts = [code for code, before in zip(codes, [-2, *codes], strict=False) if code != before + 1]
    ends = [code for code, after in zip(codes, [*codes[1:], -1], strict=True) if code != after - 1]
    return tuple(starts), tuple(ends)


def _open(path: Path) -> TTFont:
    from fontTools.ttLib import TTFont  # noqa: PLC0415  (many processes import this module and measure no text)

    return TTFont(path, lazy=True)
