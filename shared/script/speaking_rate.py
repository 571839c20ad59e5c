"""Estimates how long a text takes to speak, before it is spoken."""

from __future__ import annotations

import re

# Seconds per character: the embedded voice's for a paragraph of each script at 160 words a minute.
_LETTER, _HAN, _KANA, _HANGUL, _ARABIC, _DEVANAGARI = 1 / 15.5, 0.26, 0.15, 0.16, 1 / 10.5, 1 / 13
_DIGIT = 0.2  # "1998" is spoken as several words
_CLASSES = (
    (re.compile(r"[0-9]"), _DIGIT),
    (re.compile(r"[\u3400-\u9fff\uf900-\ufaff]"), _HAN),
    (re.compile(r"[\u3040-\u30ff]"), _KANA),
    (re.compile(r"[\uac00-\ud7af]"), _HANGUL),
    (re.compile(r"[\u0590-\u08ff]"), _ARABIC),
    (re.compile(r"[\u0900-\u0dff]"), _DEVANAGARI),
)
# What a scene adds to its speech: pads of 0.2 and 0.4 s, and half a second of crossfade.
PAUSE = 0.6


def estimate_speech_seconds(text: str) -> float:
    """Return about how many seconds `text` takes to speak; within a sixth of the embedded voices' time."""
    counts = [(len(pattern.findall(text)), seconds) for pattern, seconds in _CLASSES]
    rest = len(text) - sum(count for count, _ in counts)
    return rest * _LETTER + sum(count * seconds for count, seconds in counts)


def estimate_video_seconds(narrations: list[str]) -> float:
    """Return about how many seconds a video with these narrations takes, one for each scene."""
    return sum(estimate_speech_seconds(text) + PAUSE for text in narrations)
