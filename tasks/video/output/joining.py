"""Joins rendered segments and the sound into one MP4 without re-encoding the picture, and verifies the result.

Time stamps are recomputed on the frame grid: a segment states its length in microseconds only, and short segments reorder
frames differently, which would leave gaps of a few ticks at the seams.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av

from shared.errors import RenderFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from shared.processes.ffmpeg import Progress
    from tasks.video.ffmpeg_runner import FfmpegRunner

TIMESCALE = 48_000  # a multiple of every frame rate offered, and the sound's rate
REORDER_FRAMES = 2  # x264's B-frame pyramid decodes up to two frames ahead of display


def concat_input(segments: Sequence[Path], tools: FfmpegRunner) -> tuple[str, ...]:
    """Write a concat list and return the arguments by which ffmpeg reads all segments as one input."""
    listing = tools.work / "segments.ffconcat"
    listing.write_text(to_ffconcat(segments), "utf-8")
    # Without `-safe 0` the demuxer refuses absolute paths; only files may be opened, whatever the list says.
    return ("-protocol_whitelist", "file", "-f", "concat", "-safe", "0", "-i", f"file:{listing}")


def join(
    picture_input: Sequence[str],
    sound: Path,
    target: Path,
    *,
    fps: int,
    tags: Sequence[str],
    tools: FfmpegRunner,
    on_progress: Callable[[Progress], None] | None = None,
) -> None:
    """Write the MP4 with its index in front, so that it plays while it loads.

    `picture_input` is what `concat_input` returns, `tags` ffmpeg's arguments for metadata.
    """
    stamps = (
        f"setts=pts=round(PTS*TB*{fps})/({fps}*TB):dts=(N-{REORDER_FRAMES})/({fps}*TB):duration=1/({fps}*TB)"
    )
    tools.run(
        *picture_input, "-protocol_whitelist", "file", "-f", "mov", "-i", f"file:{sound}",
        "-map", "0:v:0", "-map", "1:a:0", "-map_metadata", "-1", "-map_chapters", "-1",
        "-c", "copy", "-bsf:v", stamps, "-video_track_timescale", str(TIMESCALE),
        *tags, "-movflags", "+faststart", "-f", "mp4", f"file:{target}",
        on_progress=on_progress,
    )  # fmt: skip


def to_ffconcat(segments: Sequence[Path]) -> str:
    """Return the text of a concat list; the demuxer needs only quotes escaped."""
    lines = [f"file '{str(path.resolve()).replace(QUOTE, ESCAPED)}'" for path in segments]
    return "\n".join(["ffconcat version 1.0", *lines, ""])


QUOTE, ESCAPED = "'", r"'\''"


def verify(path: Path, *, frames: int, fps: int, size: tuple[int, int]) -> None:
    """Raise RenderFailed unless the file has the planned streams, evenly spaced frames, and a sound as long as its picture."""
    with av.open(str(path), format="mov") as container:
        if len(container.streams.video) != 1 or len(container.streams.audio) != 1:
            raise RenderFailed("The joined video does not have exactly one video and one audio stream.")
        picture, sound = container.streams.video[0], container.streams.audio[0]
        shape = (picture.codec_context.width, picture.codec_context.height)
        if shape != tuple(size) or sound.sample_rate != TIMESCALE or sound.channels != 2:
            raise RenderFailed("The joined video does not have the planned size or sample rate.")
        tick = picture.time_base or Fraction(1, TIMESCALE)
        stamps = [(packet.pts, packet.dts) for packet in container.demux(picture) if packet.pts is not None]
        sound_seconds = (sound.duration or 0) * (sound.time_base or Fraction(0))
    step = Fraction(1, fps) / tick
    if len(stamps) != frames:
        raise RenderFailed("The joined video does not have the planned number of frames.")
    display_order = sorted(pts for pts, _ in stamps)
    # Integers: comparing a Fraction per frame takes as long as reading the file.
    ticks, part = step.numerator, step.denominator
    if any(pts * part != index * ticks for index, pts in enumerate(display_order)):
        raise RenderFailed("The frames of the joined video are not evenly spaced.")
    if any(dts is None or dts > pts for pts, dts in stamps):
        raise RenderFailed("The frames of the joined video are out of order.")
    if abs(sound_seconds - Fraction(frames, fps)) >= Fraction(1, fps):
        raise RenderFailed("The sound of the joined video is not as long as its picture.")
