from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.script.timeline import describe_unseen, plan_timeline
from shared.script.values import Narration, Scene, Script, Text, Transition, Voice
from tests.work import calls

FPS = (24, 25, 30, 50, 60)


def tenths(low: float, high: float):
    return st.integers(int(low * 1000), int(high * 1000)).map(lambda thousandths: thousandths / 1000)


@st.composite
def plans(draw):
    scenes, narration = [], {}
    for index in range(draw(st.integers(1, 12))):
        name = f"s{index}"
        kind = draw(st.sampled_from(["cut", "crossfade", "wipe_left"]))
        scenes.append(
            Scene(
                id=name,
                duration=draw(st.none() | tenths(0.2, 20)),
                transition=Transition(kind, 0.0 if kind == "cut" else draw(tenths(0.1, 2))),
                pad_before=draw(tenths(0, 1)),
                pad_after=draw(tenths(0, 1)),
                silent_duration=draw(tenths(0.2, 6)),
            )
        )
        if draw(st.booleans()):
            narration[name] = Fraction(draw(st.integers(1, 960_000)), 48_000)
    return Script(tuple(scenes)), narration, draw(st.sampled_from(FPS))


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(plans())
def test_every_timeline_follows_the_documented_formulas(case):
    script, narration, fps = case
    timeline = plan_timeline(script, narration, fps)
    frame = Fraction(1, fps)
    slots = timeline.scenes

    assert slots[0].start == 0
    assert slots[0].transition == 0
    assert timeline.frames == sum(slot.frames for slot in slots) - sum(slot.transition for slot in slots)
    assert timeline.frames == slots[-1].end
    for before, after in pairwise(slots):
        assert after.start == before.end - after.transition
        assert before.transition + after.transition <= before.frames
    into = [Fraction(slot.transition, fps) for slot in slots]
    for index, (scene, slot) in enumerate(zip(script.scenes, slots, strict=True)):
        out_of = into[index + 1] if index + 1 < len(slots) else Fraction(0)
        lead = max(Fraction(str(scene.pad_before)), into[index])
        tail = max(Fraction(str(scene.pad_after)), out_of)
        if (said := narration.get(scene.id)) is None:
            wished = Fraction(str(scene.duration or scene.silent_duration))
        else:
            wished = max(Fraction(str(scene.duration or 0)), lead + said + tail)
            assert slot.narration_start == slot.start * frame + lead
            assert slot.narration_start >= (slot.start + slot.transition) * frame
            assert slot.narration_start + said <= slot.end * frame - out_of
        assert slot.frames == max(1, ceil(wished * fps))
        assert slot.transition <= floor(Fraction(str(scene.transition.duration)) * fps)


def test_a_transition_takes_at_most_half_of_the_shorter_scene():
    script = Script(
        (Scene("a", duration=1.0), Scene("b", duration=0.5, transition=Transition("crossfade", 2.0)))
    )

    timeline = plan_timeline(script, {}, 30)

    assert timeline.scenes[1].transition == 7
    assert timeline.frames == 30 + 15 - 7


def test_a_decimal_is_used_exactly_as_written():
    script = Script((Scene("a", duration=0.3), Scene("b", duration=4.1)))

    timeline = plan_timeline(script, {}, 30)

    assert [slot.frames for slot in timeline.scenes] == [9, 123]


def test_a_duration_is_a_minimum_where_the_scene_speaks():
    script = Script((Scene("a", duration=1.0), Scene("b", duration=9.0)))

    timeline = plan_timeline(script, {"a": Fraction(3), "b": Fraction(3)}, 25)

    assert [slot.frames for slot in timeline.scenes] == [90, 225]
    assert timeline.scenes[1].narration_start == Fraction(90, 25) + Fraction(1, 5)


@pytest.mark.parametrize("fps", FPS)
def test_planning_five_times_the_scenes_takes_five_times_the_work(fps):
    scenes = [Scene(f"s{i}", transition=Transition("crossfade", 0.5)) for i in range(500)]
    narration = {scene.id: Fraction(123_457 + i, 48_000) for i, scene in enumerate(scenes)}
    few, many = (Script(tuple(scenes[:number])) for number in (100, 500))

    assert calls(lambda: plan_timeline(many, narration, fps)) <= 5.1 * calls(
        lambda: plan_timeline(few, narration, fps)
    )
    assert len(plan_timeline(many, narration, fps).scenes) == 500


def captioned(
    text="A caption that nobody speaks, and that takes a while to read all the same.", name="s", **fields
):
    return Scene(name, narration=Narration(text, Voice("none")), **fields)


def test_a_scene_that_is_only_captioned_lasts_until_it_is_read():
    script = Script((captioned(silent_duration=0.5), captioned("Hi.", "t")))

    first, second = plan_timeline(script, {}, 25).scenes

    assert 3.5 < first.frames / 25 < 7
    assert second.frames / 25 == Scene("t").silent_duration


def test_a_duration_holds_where_nobody_speaks():
    assert plan_timeline(Script((captioned(duration=2.0),)), {}, 25).frames == 50


def test_texts_that_never_show_are_reported():
    late, seen = Text("late", start=9), Text("seen", start=1)
    script = Script((Scene("s", text=(late, seen), duration=4.0),), overlays=(Text("over", start=4),))

    found = list(describe_unseen(plan_timeline(script, {}, 25), script))

    assert found == [
        "A text of scene 's' is never seen: it starts at 9 s, and the scene lasts 4.00 s.",
        "An overlay is never seen: it starts at 4 s, and the video lasts 4.00 s.",
    ]
