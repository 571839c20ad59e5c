"""Reads the facts of a rendered segment's video track from its MP4 index, without loading PyAV's 15 MB into each worker.

It reads only files that this service wrote, and refuses anything that ffmpeg would not write.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_INDEX_BYTES = 64 << 20  # ten hours of video have less


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """The facts of the one video track. `rate` is None if the frame rate varies."""

    width: int
    height: int
    frames: int
    rate: Fraction | None
    complete: bool  # the file holds all bytes of media that its index lists


def read_video_track(path: Path) -> VideoTrack:
    """Return the facts of the file's video track, or raise ValueError."""
    try:
        index, stored = _read_index(path)
        track = next(
            box for box in _find_boxes(index, b"trak") if _find_media_box(box, b"hdlr")[8:12] == b"vide"
        )
        table = _find_box(_find_box(_find_box(track, b"mdia"), b"minf"), b"stbl")
        entry = _find_box(table, b"stsd")[8:]
        width, height = struct.unpack(">HH", entry[32:36])
        (count,) = struct.unpack(">I", _find_box(table, b"stsz")[8:12])
        sizes = _find_box(table, b"stsz")
        return VideoTrack(
            width, height, count, _frame_rate(track, table), stored >= _total_bytes(sizes, count)
        )
    except (StopIteration, struct.error, IndexError, OSError) as error:
        raise ValueError("The file is not an MP4 as ffmpeg writes it.") from error


def _read_index(path: Path) -> tuple[bytes, int]:
    """Return the file's index (`moov`) and its bytes of media."""
    index, stored = None, 0
    with path.open("rb") as file:
        while head := file.read(8):
            size, kind = struct.unpack(">I4s", head)
            size = struct.unpack(">Q", file.read(8))[0] - 16 if size == 1 else size - 8
            if size < 0:  # also size 0, "to the end of the file", which ffmpeg does not write
                raise ValueError("A box is shorter than its own head.")
            start = file.tell()
            if kind == b"moov":
                if size > MAX_INDEX_BYTES:  # a damaged size must not make the worker read gigabytes
                    raise ValueError("The index is too large.")
                index = file.read(size)
                if len(index) < size:
                    raise ValueError("The index is cut off.")
            elif kind == b"mdat":
                stored += min(size, path.stat().st_size - start)
            file.seek(start + size)
    if index is None:
        raise ValueError("The file has no index.")
    return index, stored


def _find_boxes(data: bytes, kind: bytes) -> Iterator[bytes]:
    """Yield the contents of the boxes of a kind at the top level of the data."""
    at = 0
    while at + 8 <= len(data):
        size, box_kind = struct.unpack_from(">I4s", data, at)
        if size < 8:
            return
        if box_kind == kind:
            yield data[at + 8 : at + size]
        at += size


def _find_box(data: bytes, kind: bytes) -> bytes:
    return next(_find_boxes(data, kind))


def _find_media_box(track: bytes, kind: bytes) -> bytes:
    return _find_box(_find_box(track, b"mdia"), kind)


def _frame_rate(track: bytes, table: bytes) -> Fraction | None:
    """Return the frames a second, or None if frames last differently long."""
    header = _find_media_box(track, b"mdhd")
    (ticks,) = struct.unpack(">I", header[20:24] if header[0] == 1 else header[12:16])
    runs = _find_box(table, b"stts")[8:]
    steps = {struct.unpack_from(">I", runs, at + 4)[0] for at in range(0, len(runs), 8)}
    return Fraction(ticks, steps.pop()) if len(steps) == 1 else None


def _total_bytes(sizes: bytes, count: int) -> int:
    """Return the bytes of all frames."""
    (same,) = struct.unpack(">I", sizes[4:8])
    return same * count if same else sum(struct.unpack(f">{count}I", sizes[12 : 12 + 4 * count]))
