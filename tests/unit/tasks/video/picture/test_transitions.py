from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tasks.video.picture.transitions import MASKED, Mask, ease

FRAMES = 15


def drawn(kind: str) -> list[tuple[np.ndarray, ...]]:
    planes = [np.zeros(shape, np.uint8) for shape in ((360, 640), (180, 320), (180, 320))]
    found = []
    for index in range(FRAMES):
        Mask(kind, FRAMES).draw((planes[0], planes[1], planes[2]), index)
        found.append(tuple(plane.copy() for plane in planes))
    return found


@pytest.mark.parametrize("kind", MASKED)
def test_the_next_picture_only_ever_gains(kind):
    for before, after in pairwise(drawn(kind)):
        assert after[0].astype(int).sum() > before[0].astype(int).sum()
        assert (after[0] >= before[0]).all()


@pytest.mark.parametrize("kind", MASKED)
def test_neither_end_of_a_transition_repeats_a_body(kind):
    masks = drawn(kind)

    assert 0 < masks[0][0].mean() < 40
    assert 215 < masks[-1][0].mean() < 255


@pytest.mark.parametrize("kind", MASKED)
def test_colour_changes_where_luma_does(kind):
    for luma, *chroma in drawn(kind):
        coarse = luma.reshape(180, 2, 320, 2).mean((1, 3))
        for plane in chroma:
            assert np.abs(coarse - plane).mean() < 3


def test_wipes_are_named_by_where_they_go():
    left, right = drawn("wipe_left")[5][0], drawn("wipe_right")[5][0]

    assert left[180, -1] == 255
    assert left[180, 0] == 0
    assert np.array_equal(left, right[:, ::-1])


def test_a_circle_is_round_and_in_the_middle():
    mask = drawn("circle_open")[6][0] > 127

    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    assert abs(len(rows) - len(columns)) <= 2
    assert abs(rows.mean() - 179.5) < 1
    assert abs(columns.mean() - 319.5) < 1


def test_easing_starts_and_ends_slowly():
    parts = [ease(index, FRAMES) for index in range(FRAMES)]
    steps = np.diff(parts)

    assert parts[0] > 0
    assert parts[-1] < 1
    assert steps[0] < steps[len(steps) // 2] > steps[-1]
