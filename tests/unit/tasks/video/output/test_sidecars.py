"""A storyboard says where on its sheet each moment is; a poster is taken when there is something to see."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise

import pytest

from shared.script.timeline import plan_timeline
from shared.script.values import Scene, Script, Transition
from tasks.video.output.sidecars import plan_storyboard, poster_frame, storyboard_vtt


@pytest.mark.parametrize(
    ("seconds", "tiles", "interval", "grid"),
    [
        (Fraction(1, 5), 1, 2, (1, 1)),
        (Fraction(23), 12, 2, (10, 2)),
        (Fraction(600), 100, 6, (10, 10)),
        (Fraction(14400), 100, 144, (10, 10)),
    ],
)
def test_a_sheet_has_a_bounded_number_of_pictures(seconds, tiles, interval, grid):
    board = plan_storyboard(seconds, (1920, 1080))

    assert (board.tiles, board.interval, (board.columns, board.rows)) == (tiles, interval, grid)
    assert (board.width, board.height) == (160, 90)


def test_a_tall_video_has_tall_tiles():
    board = plan_storyboard(Fraction(10), (1080, 1920))

    assert (board.width, board.height) == (90, 160)


def test_the_index_covers_all_of_the_time_and_stays_on_the_sheet():
    board = plan_storyboard(Fraction(47, 2), (1280, 720))

    vtt = storyboard_vtt(board, "storyboard.jpg")

    times = re.findall(r"(\S+) --> (\S+)", vtt)
    places = [tuple(map(int, found)) for found in re.findall(r"#xywh=(\d+),(\d+),(\d+),(\d+)", vtt)]
    assert times[0][0] == "00:00:00.000"
    assert times[-1][1] == "00:00:23.500"
    assert all(before[1] == after[0] for before, after in pairwise(times))
    assert len(set(places)) == len(places) == len(times)
    assert all(x + w <= board.columns * w and y + h <= board.rows * h for x, y, w, h in places)


@pytest.mark.parametrize("seconds", [0.2, 1, 4, 60])
def test_the_poster_is_in_the_first_scene_before_the_next_one_comes_in(seconds):
    scenes = (Scene("a", duration=seconds), Scene("b", duration=4, transition=Transition("crossfade", 2)))
    timeline = plan_timeline(Script(scenes=scenes), {}, 30)

    frame = poster_frame(timeline)

    assert 0 <= frame < max(1, timeline.scenes[1].start)
    assert frame <= 2 * 30
