from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.video.picture.text.ass import Event
from tasks.video.picture.text.static_spans import MIN_FRAMES, MIN_TOTAL_FRAMES, cut_out, find_static_spans

EVENTS = st.lists(
    st.builds(
        lambda start, length, name: Event(start, start + length, 0, name),
        st.integers(0, 90), st.integers(1, 90), st.text("abc", min_size=1, max_size=1),
    ), max_size=6,
)  # fmt: skip


def seen(events, frame):
    return sorted(event.text for event in events if event.start <= frame < event.end)


def test_a_title_that_stays_is_one_span():
    assert find_static_spans([Event(0, 100, 0, "box"), Event(0, 100, 1, "title")], 100) == ((0, 100),)


def test_a_text_that_moves_and_then_stays_is_drawn_on_each_frame_only_while_it_moves():
    events = [Event(frame, frame + 1, 0, f"at {frame}") for frame in range(10)] + [Event(10, 60, 0, "there")]

    lasting = find_static_spans(events, 60)

    assert lasting == ((10, 60),)
    assert cut_out(events, lasting) == events[:10]


def test_an_event_that_goes_on_over_a_span_is_cut_at_its_edges():
    events = [Event(0, 80, 0, "title"), Event(30, 32, 1, "flash")]

    assert find_static_spans(events, 80) == ((0, 30), (32, 80))
    assert cut_out(events, find_static_spans(events, 80)) == [
        Event(30, 32, 0, "title"),
        Event(30, 32, 1, "flash"),
    ]


def test_a_short_span_is_drawn_on_each_frame():
    assert find_static_spans([Event(0, MIN_TOTAL_FRAMES - 1, 0, "title")], 100) == ()


@pytest.mark.slow
@given(EVENTS)
def test_static_spans_and_the_rest_together_show_every_event_on_its_frames(events):
    lasting = find_static_spans(events, 120)
    rest = cut_out(events, lasting)

    for frame in range(120):
        (span,) = [one for one in lasting if one[0] <= frame < one[1]] or [None]
        if span is None:
            assert seen(rest, frame) == seen(events, frame)
        else:
            assert seen(rest, frame) == []
            assert seen(events, span[0]) == seen(events, frame)
            assert span[1] - span[0] >= MIN_FRAMES
