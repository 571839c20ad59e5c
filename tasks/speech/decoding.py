"""Turns the sound that an engine gave into narration's form: 48 kHz, mono, 16 bits, silence cut off at both ends."""

from __future__ import annotations

import tempfile
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shared.errors import RenderFailed, RenderTimeout, UnsupportedMedia
from shared.media.probing import HEAD_BYTES, sniff
from shared.processes import ffmpeg
from tasks.speech.engine import RATE
from tasks.speech.espeak_child import faded, trim

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LONGEST = 900  # seconds of one sentence
LIMITS = ffmpeg.Limits(wall=60, stall=30, cpu=60, file=RATE * 2 * LONGEST + 4096)


class NoSpeech(Exception):
    """The sound cannot be read, or nothing is heard in it."""


def decode(sound: bytes, target: Path, *, stop: Callable[[], bool], pcm: int | None = None) -> int:
    """Write the sound to `target` and return its samples, or raise NoSpeech. `pcm` is the rate of bare samples."""
    with tempfile.TemporaryDirectory(prefix="sound-", dir=target.parent) as work:
        source, whole = Path(work) / "source", Path(work) / "whole.wav"
        source.write_bytes(sound)
        _convert(_reading(sound, pcm), source, whole, stop)
        with wave.open(str(whole), "rb") as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    begin, end = trim(samples, RATE)
    if begin == end:
        raise NoSpeech("The sound is silent.")
    kept = faded(samples[begin:end].astype(np.float32))
    write(target, np.rint(kept).astype("<i2").tobytes())
    return end - begin


def _reading(sound: bytes, pcm: int | None) -> list[str]:
    if pcm is not None:
        return ["-f", "s16le", "-ar", str(pcm), "-ac", "1"]
    try:
        return ["-f", sniff(sound[:HEAD_BYTES]).demuxer]
    except UnsupportedMedia as error:
        raise NoSpeech("The answer is no sound.") from error


def _convert(reading: Sequence[str], source: Path, target: Path, stop: Callable[[], bool]) -> None:
    argv = ffmpeg.command(
        *reading, "-i", f"file:{source}", "-vn", "-sn", "-dn", "-map", "0:a:0", "-t", str(LONGEST),
        "-ac", "1", "-ar", str(RATE), "-c:a", "pcm_s16le", "-bitexact", f"file:{target}",
    )  # fmt: skip
    try:
        ffmpeg.run(argv, cwd=target.parent, limits=LIMITS, stop=stop)
    except (RenderFailed, RenderTimeout) as error:
        raise NoSpeech("The sound cannot be read.") from error


def write(target: Path, samples: bytes) -> None:
    """Write a WAV file of 16-bit samples."""
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples)
