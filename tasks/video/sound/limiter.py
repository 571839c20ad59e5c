"""Holds a sound below a true peak by a gain that moves smoothly: looked up ahead, computed for all of it at once.

The gain is a value a millisecond, so that even hours of it are small; the samples are seen a block at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tasks.video.sound.mixing import Samples

Values = NDArray[np.float32]

HOP = 48  # samples: a millisecond
LOOKAHEAD_HOPS = 30  # hops to either side over which the gain moves
PIECE_HOPS = 100_000  # hops that are computed at once
OVERSAMPLING = 4  # as in ITU-R BS.1770
PHASE_TAPS = 16
EDGE = PHASE_TAPS // 2


def measure_peaks(padded: Samples) -> Values:
    """Return the true peak of each hop of a stereo block that has EDGE samples of its neighbours on either side."""
    found = _row_maximum(padded[EDGE:-EDGE])
    for channel in range(padded.shape[1]):
        for taps in OVERSAMPLING_FILTERS:
            found = np.maximum(found, np.abs(_filter_samples(padded[:, channel], taps)))
    highest: Values = _split_hops(found).max(axis=1)
    return highest


def _filter_samples(padded: Samples, taps: NDArray[np.float32]) -> Samples:
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


def measure_powers(padded: Samples) -> Values:
    """Return the power of each hop of such a block."""
    power: Values = _split_hops(np.einsum("ij,ij->i", padded[EDGE:-EDGE], padded[EDGE:-EDGE])).sum(axis=1)
    return power


def _row_maximum(values: Samples) -> Samples:
    """Return the highest magnitude of each row; by columns, since NumPy is slow along a short axis."""
    found = np.abs(values[:, 0])
    for column in range(1, values.shape[1]):
        found = np.maximum(found, np.abs(values[:, column]))
    return found


def _split_hops(values: Samples) -> Samples:
    hops = -(-len(values) // HOP)
    return np.pad(values, (0, hops * HOP - len(values))).reshape(hops, HOP)


def compute_gains(found: Values, ceiling: float) -> Values:
    """Return the gain at the middle of each hop that keeps every peak at or below the ceiling.

    The lowest gain that is needed within reach, smoothed over less than that reach: never above what is needed.
    """
    margin = 2 * LOOKAHEAD_HOPS
    padded = np.pad(found, margin)
    pieces = [
        _compute_piece(padded[first : first + PIECE_HOPS + 2 * margin], ceiling)
        for first in range(0, len(found), PIECE_HOPS)
    ]
    return np.concatenate(pieces) if pieces else found


def _compute_piece(padded: Values, ceiling: float) -> Values:
    """Return the gains of hops that have twice REACH of their neighbours on either side."""
    if padded.max(initial=0) <= ceiling:
        return np.ones(len(padded) - 4 * LOOKAHEAD_HOPS, padded.dtype)
    needed = np.minimum(1.0, ceiling / np.maximum(padded, 1e-12))
    lowest = np.lib.stride_tricks.sliding_window_view(needed, 2 * LOOKAHEAD_HOPS + 1).min(axis=1)
    smooth = np.convolve(lowest, WINDOW, mode="valid")
    aside = LOOKAHEAD_HOPS - len(WINDOW) // 2
    # Sums of rounded weights may come out a hair above one.
    gain: Values = np.minimum(
        smooth[aside : len(smooth) - aside], needed[2 * LOOKAHEAD_HOPS : -2 * LOOKAHEAD_HOPS]
    )
    return gain


def apply_gain(block: Samples, first: int, gain: Values) -> Samples:
    """Return the block that begins at sample `first`, times the gain."""
    low = max(0, first // HOP - 2)
    near = gain[low : (first + len(block)) // HOP + 3]
    middles = (low + np.arange(len(near))) * HOP + HOP / 2
    places = np.arange(first, first + len(block))
    curve = np.interp(places, middles, near).astype(np.float32)
    limited: Samples = block * curve[:, None]
    return limited


def _oversampling_filters() -> NDArray[np.float32]:
    """Return the filters that compute the signal a quarter, a half and three quarters after a sample."""
    taps = np.arange(PHASE_TAPS)
    columns = []
    for phase in range(1, OVERSAMPLING):
        distance = taps - (EDGE - 1) - phase / OVERSAMPLING
        window = np.cos(np.pi * distance / (PHASE_TAPS + 1)) ** 2
        column = np.sinc(distance) * window
        columns.append(column / column.sum())
    return np.array(columns, np.float32)


OVERSAMPLING_FILTERS = _oversampling_filters()
WINDOW = (np.hanning(2 * LOOKAHEAD_HOPS + 1)[1:-1] / np.hanning(2 * LOOKAHEAD_HOPS + 1).sum()).astype(
    np.float32
)
