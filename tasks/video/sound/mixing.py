"""Mixes tracks into stereo, a block at a time, so that memory does not grow with the video's length."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.video.sound.tracks import LOOP_FADE, RATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tasks.video.sound.ducking import Envelope
    from tasks.video.sound.tracks import Track

Samples = NDArray[np.float32]

BLOCK_SAMPLES = 2 * RATE
REFERENCE_LEVEL = -20.0  # dBFS: speech and music are brought to this level before mixing
MAX_LEVEL_CHANGE = 24.0  # dB: a file that would need more is quiet on purpose
MAX_PEAK = 0.98  # of full scale: no file is amplified beyond this
GATE = -72.0  # dB: quieter moments are silence and do not count towards the level
RELATIVE_GATE = 10.0  # dB below the mean: such moments do not count either
MEASURED_SAMPLES = RATE // 10
STEP_SAMPLES = RATE // 1000


def mix_tracks(tracks: Sequence[Track], samples: int) -> Iterator[Samples]:
    """Yield stereo blocks of floats, `samples` samples in all."""
    playing = [(track, _levelling_factor(track.path) if track.levelled else 1.0) for track in tracks]
    for first in range(0, samples, BLOCK_SAMPLES):
        count = min(BLOCK_SAMPLES, samples - first)
        block = np.zeros((count, 2), np.float32)
        for track, level in playing:
            begin, end = max(track.start, first), min(track.start + track.length, first + count)
            if begin < end:
                block[begin - first : end - first] += _track_block(track, begin, end - begin) * level
        yield block


def _track_block(track: Track, first: int, count: int) -> Samples:
    """Return `count` samples of a track from sample `first` of the video on, with its gain, fades and ducking."""
    at = first - track.start
    sound = _repeated(track, at, count) if track.period else read_samples(track.path, at, count)
    gain = np.full(count, track.gain, np.float32)
    if at < track.fade_in:
        gain *= ramp(at, count, track.fade_in)
    if at + count > track.length - track.fade_out:
        gain *= ramp(track.length - at - count, count, max(1, track.fade_out))[::-1]
    if track.ducked is not None:
        gain *= _ducking_factors(track.ducked, first, count)
    sound *= gain[:, None]
    return sound


def _ducking_factors(envelope: Envelope, first: int, count: int) -> Samples:
    """Return the envelope as factors. One value a millisecond is enough for ramps of over 100 ms, and much faster."""
    steps = np.arange(first, first + count + STEP_SAMPLES, STEP_SAMPLES)
    factors = 10 ** (np.interp(steps / RATE, envelope.seconds, envelope.decibels) / 20)
    if np.ptp(factors) == 0:
        return np.full(count, factors[0], np.float32)
    return np.interp(np.arange(first, first + count), steps, factors).astype(np.float32)


def _repeated(track: Track, at: int, count: int) -> Samples:
    """Return samples of a looped track, faded at its seams so that they do not click."""
    period = track.period or count
    parts, position, seam = list[Samples](), at, round(LOOP_FADE * RATE)
    while position < at + count:
        inside = position % period
        length = min(period - inside, at + count - position)
        piece = read_samples(track.path, inside, length)
        if inside < seam and position >= period:  # the very first start is faded by `fade_in`
            piece *= ramp(inside, length, seam)[:, None]
        if inside + length > period - seam:
            piece *= ramp(period - inside - length, length, seam)[::-1, None]
        parts.append(piece)
        position += length
    return np.concatenate(parts)


def ramp(first: int, count: int, length: int) -> Samples:
    """Return `count` values, from sample `first` on, of a ramp that rises from 0 to 1 over `length` samples and stays at 1."""
    return np.clip(np.arange(first, first + count) / length, 0, 1).astype(np.float32)


def read_samples(path: Path, first: int, count: int) -> Samples:
    """Return stereo samples of a 16-bit WAV file written here; silence beyond its end."""
    with wave.open(str(path), "rb") as file:
        channels = file.getnchannels()
        first = min(first, file.getnframes())
        file.setpos(first)
        frames = np.frombuffer(file.readframes(count), "<i2").reshape(-1, channels)
    sound = np.zeros((count, 2), np.float32)
    sound[: len(frames)] = frames / np.float32(32768)
    return sound


def _levelling_factor(path: Path) -> float:
    """Return the factor that brings a file's louder moments to REFERENCE_LEVEL."""
    with wave.open(str(path), "rb") as file:
        length = file.getnframes()
    powers, peak = list[NDArray[np.float64]](), 0.0
    for first in range(0, length, BLOCK_SAMPLES):
        block = read_samples(path, first, min(BLOCK_SAMPLES, length - first))
        peak = max(peak, float(np.abs(block).max(initial=0)))
        whole = (
            block[: len(block) // MEASURED_SAMPLES * MEASURED_SAMPLES]
            if len(block) >= MEASURED_SAMPLES
            else block
        )
        rows = whole.reshape(max(1, len(whole) // MEASURED_SAMPLES), -1).astype(np.float64)
        powers.append((rows**2).mean(axis=1))
    power = np.concatenate(powers) if powers else np.zeros(1)
    power = power[power > 10 ** (GATE / 10)]
    if not len(power):
        return 1.0
    power = power[power > power.mean() / 10 ** (RELATIVE_GATE / 10)]
    decibels = REFERENCE_LEVEL - 10 * float(np.log10(power.mean()))
    factor = 10 ** (max(-MAX_LEVEL_CHANGE, min(MAX_LEVEL_CHANGE, decibels)) / 20)
    return float(min(factor, max(1.0, MAX_PEAK / peak)))
