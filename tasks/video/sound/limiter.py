"""A look-ahead true-peak limiter: computes one smooth gain curve for the whole sound. Pure.

The gain is one value a millisecond, so that hours of it stay small; samples are processed a block at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tasks.video.sound.mixing import Samples

Values = NDArray[np.float32]

HOP = 48  # samples: a millisecond
LOOKAHEAD_HOPS = 30  # hops on either side over which the gain moves
PIECE_HOPS = 100_000  # hops that are computed at once
OVERSAMPLING = 4  # as in ITU-R BS.1770
PHASE_TAPS = 16
EDGE = PHASE_TAPS // 2


def measure_peaks(padded: Samples) -> Values:
    """Return the true peak of each hop of a stereo block padded with EDGE samples of its neighbours on either side."""
    peaks = _row_maximum(padded[EDGE:-EDGE])
    for channel in range(padded.shape[1]):
        for taps in OVERSAMPLING_FILTERS:
            peaks = np.maximum(peaks, np.abs(_filter_samples(padded[:, channel], taps)))
    highest: Values = _split_hops(peaks).max(axis=1)
    return highest


def _filter_samples(padded: Samples, taps: NDArray[np.float32]) -> Samples:
    """Return the filtered signal without its margins.

    Shifted sums instead of a matrix product: BLAS threads would compete with ffmpeg's.
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
    """Return the power of each hop of a padded block."""
    power: Values = _split_hops(np.einsum("ij,ij->i", padded[EDGE:-EDGE], padded[EDGE:-EDGE])).sum(axis=1)
    return power


def _row_maximum(values: Samples) -> Samples:
    """Return the highest magnitude of each row, by columns: NumPy is slow along a short axis."""
    peaks = np.abs(values[:, 0])
    for column in range(1, values.shape[1]):
        peaks = np.maximum(peaks, np.abs(values[:, column]))
    return peaks


def _split_hops(values: Samples) -> Samples:
    hops = -(-len(values) // HOP)
    return np.pad(values, (0, hops * HOP - len(values))).reshape(hops, HOP)


def compute_gains(peaks: Values, ceiling: float) -> Values:
    """Return the gain at the middle of each hop that keeps every peak at or below the ceiling.

    It is the lowest gain needed within the look-ahead, smoothed over less than that, so that it never exceeds what is needed.
    """
    margin = 2 * LOOKAHEAD_HOPS
    padded = np.pad(peaks, margin)
    pieces = [
        _compute_piece(padded[first : first + PIECE_HOPS + 2 * margin], ceiling)
        for first in range(0, len(peaks), PIECE_HOPS)
    ]
    return np.concatenate(pieces) if pieces else peaks


def _compute_piece(padded: Values, ceiling: float) -> Values:
    """Return the gains of hops that are padded with twice LOOKAHEAD_HOPS of their neighbours on either side."""
    if padded.max(initial=0) <= ceiling:
        return np.ones(len(padded) - 4 * LOOKAHEAD_HOPS, padded.dtype)
    needed = np.minimum(1.0, ceiling / np.maximum(padded, 1e-12))
    lowest = np.lib.stride_tricks.sliding_window_view(needed, 2 * LOOKAHEAD_HOPS + 1).min(axis=1)
    smooth = np.convolve(lowest, WINDOW, mode="valid")
    aside = LOOKAHEAD_HOPS - len(WINDOW) // 2
    # The weights' rounded sum may slightly exceed one, and a gain would then let a peak through.
    gain: Values = np.minimum(
        smooth[aside : len(smooth) - aside], needed[2 * LOOKAHEAD_HOPS : -2 * LOOKAHEAD_HOPS]
    )
    return gain


def apply_gain(block: Samples, first: int, gain: Values) -> Samples:
    """Return the block that begins at sample `first`, multiplied by the gain."""
    low = max(0, first // HOP - 2)
    nearby = gain[low : (first + len(block)) // HOP + 3]
    middles = (low + np.arange(len(nearby))) * HOP + HOP / 2
    places = np.arange(first, first + len(block))
    curve = np.interp(places, middles, nearby).astype(np.float32)
    limited: Samples = block * curve[:, None]
    return limited


def _oversampling_filters() -> NDArray[np.float32]:
    """Return the interpolation filters for a quarter, a half and three quarters of a sample."""
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
