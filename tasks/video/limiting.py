"""Holds a sound below a true peak by a gain that moves smoothly: looked up ahead, computed for all of it at once.

The gain is a value a millisecond, so that even hours of it are small; samples are seen a block at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tasks.video.mixing import Samples

Values = NDArray[np.float64]

HOP = 48  # samples: a millisecond
REACH = 30  # hops to either side over which the gain moves
OVERSAMPLING = 4  # as in ITU-R BS.1770
PHASE_TAPS = 16
EDGE = PHASE_TAPS // 2


def peaks(padded: Samples) -> Values:
    """Return the true peak of each hop of a stereo block that has EDGE samples of its neighbours on either side."""
    found = _highest(padded[EDGE:-EDGE])
    for channel in range(padded.shape[1]):
        for taps in PHASES:
            found = np.maximum(found, np.abs(_filtered(padded[:, channel], taps)))
    highest: Values = _hops(found).max(axis=1).astype(np.float64)
    return highest


def _filtered(padded: Samples, taps: NDArray[np.float32]) -> Samples:
    """Return the filtered signal without its margins.

    By shifted sums: a matrix product would be as fast alone, but its threads get in the way of ffmpeg's.
    """
    signal = np.ascontiguousarray(padded)
    length = len(signal) - 2 * EDGE
    total = np.zeros(length, np.float32)
    scaled = np.empty(length, np.float32)
    for index, tap in enumerate(taps):
        np.multiply(signal[index + 1 : index + 1 + length], tap, out=scaled)
        total += scaled
    return total


def powers(padded: Samples) -> Values:
    """Return the power of each hop of such a block."""
    power: Values = (
        _hops(np.einsum("ij,ij->i", padded[EDGE:-EDGE], padded[EDGE:-EDGE])).sum(axis=1).astype(np.float64)
    )
    return power


def _highest(values: Samples) -> Samples:
    """Return the highest magnitude of each row; by columns, since NumPy is slow along a short axis."""
    found = np.abs(values[:, 0])
    for column in range(1, values.shape[1]):
        found = np.maximum(found, np.abs(values[:, column]))
    return found


def _hops(values: Samples) -> Samples:
    hops = -(-len(values) // HOP)
    return np.pad(values, (0, hops * HOP - len(values))).reshape(hops, HOP)


def gains(found: Values, ceiling: float) -> Values:
    """Return the gain at the middle of each hop that keeps every peak at or below the ceiling.

    The lowest gain that is needed within reach, smoothed over less than that reach: never above what is needed.
    """
    needed = np.minimum(1.0, ceiling / np.maximum(found, 1e-12))
    if needed.min(initial=1.0) >= 1.0:
        return needed
    lowest = np.pad(needed, REACH, constant_values=1.0)
    lowest = np.lib.stride_tricks.sliding_window_view(lowest, 2 * REACH + 1).min(axis=1)
    window = np.hanning(2 * REACH - 1)
    padded = np.pad(lowest, REACH - 1, mode="edge")
    return np.convolve(padded, window / window.sum(), mode="valid")


def apply(block: Samples, first: int, gain: Values) -> Samples:
    """Return the block that begins at sample `first`, times the gain."""
    middles = np.arange(len(gain)) * HOP + HOP / 2
    low = max(0, first // HOP - 2)
    high = (first + len(block)) // HOP + 3
    places = np.arange(first, first + len(block))
    curve = np.interp(places, middles[low:high], gain[low:high]).astype(np.float32)
    limited: Samples = block * curve[:, None]
    return limited


def _phases() -> NDArray[np.float32]:
    """Return the filters that compute the signal a quarter, a half and three quarters after a sample."""
    taps = np.arange(PHASE_TAPS)
    columns = []
    for phase in range(1, OVERSAMPLING):
        distance = taps - (EDGE - 1) - phase / OVERSAMPLING
        window = np.cos(np.pi * distance / (PHASE_TAPS + 1)) ** 2
        column = np.sinc(distance) * window
        columns.append(column / column.sum())
    return np.array(columns, np.float32)


PHASES = _phases()
