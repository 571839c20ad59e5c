"""Writes cues as subtitle files: SubRip (SRT) and WebVTT. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.video.captions.cues import Cue


def to_srt(cues: Sequence[Cue]) -> str:
    """Return the cues as SubRip. It has no escapes: an invisible word joiner keeps `<` and `{` from starting a tag."""
    blocks = [
        f"{number}\n{format_time(cue.start, ',')} --> {format_time(cue.end, ',')}\n"
        + "\n".join(line.replace("<", "<\u2060").replace("{", "{\u2060").replace("-->", "--\u2060>") for line in cue.lines)
        for number, cue in enumerate(cues, 1)
    ]  # fmt: skip
    return "".join(f"{block}\n\n" for block in blocks)


def to_vtt(cues: Sequence[Cue]) -> str:
    """Return the cues as WebVTT."""
    blocks = [
        f"{number}\n{format_time(cue.start, '.')} --> {format_time(cue.end, '.')}\n"
        + "\n".join(map(_escape, cue.lines))
        for number, cue in enumerate(cues, 1)
    ]
    return "WEBVTT\n\n" + "".join(f"{block}\n\n" for block in blocks)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def format_time(seconds: float, point: str) -> str:
    """Return a time as HH:MM:SS and milliseconds; `point` separates them: `,` in SubRip, `.` in WebVTT."""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, seconds_left = divmod(whole, 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours:02}:{minutes_left:02}:{seconds_left:02}{point}{milliseconds:03}"
