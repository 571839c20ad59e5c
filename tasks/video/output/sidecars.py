"""Draws a video's poster and its storyboard: a sheet of thumbnails with a WebVTT file of their times."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING

from tasks.video.captions.subtitle_files import format_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shared.script.timeline import Timeline
    from tasks.video.ffmpeg_runner import FfmpegRunner

TILES = 100
COLUMNS = 10
INTERVAL = Fraction(2)  # seconds between thumbnails; longer if there would be more than TILES
TILE_SIDE = 160  # pixels, the longer one
POSTER_LATEST = 2  # seconds into the first scene
# A JPEG is full range and BT.601 (JFIF 1.02), our videos are limited range and BT.709.
JPEG = ("-pix_fmt", "yuvj420p", "-color_range", "pc", "-update", "1", "-f", "image2")
FULL_RANGE = "in_range=tv:out_range=pc:in_color_matrix=bt709:out_color_matrix=bt601"


@dataclass(frozen=True, slots=True)
class Storyboard:
    """The layout of a video's thumbnails on one sheet. `interval` and `seconds` in seconds, sizes in pixels a tile."""

    interval: Fraction
    tiles: int
    columns: int
    rows: int
    width: int
    height: int
    seconds: Fraction


def plan_storyboard(seconds: Fraction, size: tuple[int, int]) -> Storyboard:
    """Return the storyboard's layout for a video of that length and frame size. Pure."""
    interval = max(INTERVAL, Fraction(ceil(seconds / TILES)))
    tiles = max(1, ceil(seconds / interval))
    columns = min(COLUMNS, tiles)
    scale = TILE_SIDE / max(size)
    width, height = (max(2, round(side * scale / 2) * 2) for side in size)
    return Storyboard(interval, tiles, columns, ceil(tiles / columns), width, height, seconds)


def storyboard_vtt(board: Storyboard, image: str) -> str:
    """Return the WebVTT that maps seconds to tiles of the sheet. Pure."""
    blocks = []
    for index in range(board.tiles):
        row, column = divmod(index, board.columns)
        start = float(index * board.interval)
        end = float(min((index + 1) * board.interval, board.seconds))
        area = f"{column * board.width},{row * board.height},{board.width},{board.height}"
        blocks.append(f"{format_time(start, '.')} --> {format_time(end, '.')}\n{image}#xywh={area}\n\n")
    return "WEBVTT\n\n" + "".join(blocks)


def poster_frame(timeline: Timeline) -> int:
    """Return a frame of the first scene after its text has appeared and before its transition begins. Pure."""
    first = timeline.scenes[0]
    following = timeline.scenes[1].transition if len(timeline.scenes) > 1 else 0
    latest = min(first.frames - following - 1, POSTER_LATEST * timeline.fps)
    return max(0, min(first.frames * 3 // 5, latest))


def draw_stills(
    picture_input: Sequence[str],
    *,
    frame: int,
    poster: Path | None,
    storyboard: tuple[Storyboard, Path] | None,
    tools: FfmpegRunner,
) -> None:
    """Draw both in one run of ffmpeg: the poster from frame `frame`, the sheet from key frames only, which is fast.

    `picture_input` is what `joining.concat_input` returns, so that the stills need not wait for the sound.
    """
    inputs: list[str] = []
    outputs: list[str] = []
    if poster is not None:
        inputs += picture_input
        chosen = f"select='gte(n,{frame})',scale={FULL_RANGE}"
        outputs += ["-map", "0:v:0", "-vf", chosen, "-frames:v", "1", "-q:v", "3", *JPEG, f"file:{poster}"]
    if storyboard is not None:
        board, target = storyboard
        number = 0 if poster is None else 1
        inputs += ["-skip_frame", "nokey", *picture_input]
        outputs += ["-map", f"{number}:v:0", "-vf", _sheet(board), "-frames:v", "1", "-q:v", "4", *JPEG]
        outputs += [f"file:{target}"]
    if outputs:
        tools.run(*inputs, *outputs)


def _sheet(board: Storyboard) -> str:
    rate = 1 / board.interval
    return ",".join((
        f"scale={board.width}:{board.height}:flags=area",
        f"fps={rate.numerator}/{rate.denominator}:start_time=0:eof_action=pass",  # or a short video has no tile
        "tpad=stop=-1:stop_mode=clone",
        f"trim=end_frame={board.tiles}",
        "format=rgb24",  # in YUV, unused tiles would come out green
        f"tile={board.columns}x{board.rows}:nb_frames={board.tiles}",
        "scale=out_range=pc:out_color_matrix=bt601",
    ))  # fmt: skip
