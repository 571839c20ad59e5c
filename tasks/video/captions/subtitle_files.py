"""Writes captions as the files that players read: SubRip and WebVTT. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.video.captions.cues import Cue


def to_srt(found: Sequence[Cue]) -> str:
    """Return the cues as SubRip. It knows no escapes: a word joiner, which nobody sees, keeps tags from being tags."""
    blocks = [
        f"{number}\n{format_time(cue.start, ',')} --> {format_time(cue.end, ',')}\n"
        + "\n".join(line.replace("<", "<\u2060").replace("{", "{\u2060").replace("-->", "--\u2060>") for line in cue.lines)
        for number, cue in enumerate(found, 1)
    ]  # fmt: skip
    return "".join(f"{block}\n\n" for block in blocks)


def to_vtt(found: Sequence[Cue]) -> str:
    """Return the cues as WebVTT."""
    blocks = [
        f"{number}\n{format_time(cue.start, '.')} --> {format_time(cue.end, '.')}\n"
        + "\n".join(map(_escape, cue.lines))
        for number, cue in enumerate(found, 1)
    ]
    return "WEBVTT\n\n" + "".join(f"{block}\n\n" for block in blocks)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def format_time(seconds: float, point: str) -> str:
    """Return a time as both formats write it; they differ in what stands before the milliseconds."""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, seconds_left = divmod(whole, 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours:02}:{minutes_left:02}:{seconds_left:02}{point}{milliseconds:03}"
