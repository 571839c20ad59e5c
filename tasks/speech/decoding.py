"""Decodes an engine's audio to the form of narration: 48 kHz, mono, 16 bits, without silence at either end."""

from __future__ import annotations

import tempfile
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shared.errors import RenderFailed, RenderTimeout, UnsupportedMedia
from shared.media.sniffing import HEAD_BYTES, sniff
from shared.processes import ffmpeg
from tasks.speech.engine import SAMPLE_RATE
from tasks.speech.espeak_child import fade_ends, trim

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_SECONDS = 900  # of one sentence: bounds what a compressed file may unpack to
LIMITS = ffmpeg.Limits(wall=60, stall=30, cpu=60, file=SAMPLE_RATE * 2 * MAX_SECONDS + 4096)


class NoAudibleSpeech(Exception):
    """The audio cannot be decoded, or is silent."""


def decode_to_wav(sound: bytes, target: Path, *, stop: Callable[[], bool], pcm: int | None = None) -> int:
    """Write the audio to `target` and return its samples; raise NoAudibleSpeech. `pcm` is the rate of headerless samples."""
    with tempfile.TemporaryDirectory(prefix="sound-", dir=target.parent) as work:
        source, whole = Path(work) / "source", Path(work) / "whole.wav"
        source.write_bytes(sound)
        _convert(_input_options(sound, pcm), source, whole, stop)
        with wave.open(str(whole), "rb") as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    begin, end = trim(samples, SAMPLE_RATE)
    if begin == end:
        raise NoAudibleSpeech("The sound is silent.")
    trimmed = fade_ends(samples[begin:end].astype(np.float32))
    write_wav(target, np.rint(trimmed).astype("<i2").tobytes())
    return end - begin


def _input_options(sound: bytes, pcm: int | None) -> list[str]:
    if pcm is not None:
        return ["-f", "s16le", "-ar", str(pcm), "-ac", "1"]
    try:
        return ["-f", sniff(sound[:HEAD_BYTES]).demuxer]
    except UnsupportedMedia as error:
        raise NoAudibleSpeech("The answer is no sound.") from error


def _convert(reading: Sequence[str], source: Path, target: Path, stop: Callable[[], bool]) -> None:
    argv = ffmpeg.command(
        *reading, "-i", f"file:{source}", "-vn", "-sn", "-dn", "-map", "0:a:0", "-t", str(MAX_SECONDS),
        "-ac", "1", "-ar", str(SAMPLE_RATE), "-c:a", "pcm_s16le", "-bitexact", f"file:{target}",
    )  # fmt: skip
    try:
        ffmpeg.run(argv, cwd=target.parent, limits=LIMITS, stop=stop)
    except (RenderFailed, RenderTimeout) as error:
        raise NoAudibleSpeech("The sound cannot be read.") from error


def write_wav(target: Path, samples: bytes) -> None:
    """Write a mono WAV file of 16-bit samples at 48 kHz."""
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples)
