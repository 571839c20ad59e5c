from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import pytest

from shared.media.probing import Media
from shared.script.timeline import plan_timeline
from shared.script.values import (
    Captions,
    ImageOverlay,
    Output,
    Scene,
    Script,
    Text,
    Transition,
    Visual,
)
from tasks.video.captions.cues import Cue, CueWord
from tasks.video.plan.segments import plan_segments, split_spans
from tasks.video.plan.values import Source
from tests.work import calls

VERSIONS = {"ffmpeg": "9", "renderer": "1"}


def media(name: str, kind: str = "image", duration: float | None = None) -> Media:
    return Media(
        kind=kind, media_type="image/jpeg" if kind == "image" else "video/mp4", bytes=1, sha256=name * 8,
        width=1600, height=900, duration=duration, fps=25.0 if duration else None,
    )  # fmt: skip


def source(src: str, kind: str = "image", duration: float | None = None) -> Source:
    return Source(src, f"kept/{src}", media(src.removeprefix("asset:"), kind, duration))


SOURCES = {
    "asset:a": source("asset:a"),
    "asset:b": source("asset:b"),
    "asset:v": source("asset:v", "video", 3.0),
}
OUTPUT = Output()
FADE = Transition("crossfade", 0.5)
SCRIPT = Script(
    (
        Scene("one", visual=Visual("image", src="asset:a", motion="zoom_in"), text=(Text("First", end=2.0),), duration=4),
        Scene(
            "two", visual=Visual("image", src="asset:b", motion="pan_left"), text=(Text("Second"),), duration=4, transition=FADE,
        ),
        Scene("three", visual=Visual("video", src="asset:v"), duration=4, transition=FADE),
    )
)  # fmt: skip


def keys(
    script=SCRIPT, output=OUTPUT, sources=SOURCES, cues=(), narration=None, account="me", versions=VERSIONS
):
    timeline = plan_timeline(script, narration or {}, output.fps)
    found = plan_segments(timeline, script, output, sources, cues, account=account, versions=versions)
    return [segment.key for segment in found]


def edited(index: int, **fields) -> Script:
    scenes = list(SCRIPT.scenes)
    scenes[index] = replace(scenes[index], **fields)
    return replace(SCRIPT, scenes=tuple(scenes))


def changed(before: list[str], after: list[str]) -> list[int]:
    assert len(before) == len(after)
    return [index for index, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]]


def test_every_frame_is_in_exactly_one_segment():
    timeline = plan_timeline(SCRIPT, {}, 30)

    found = list(split_spans(timeline))

    assert [span.start for span in found] == [0, 105, 120, 210, 225]
    assert [span.end for span in found] == [105, 120, 210, 225, timeline.frames]


def test_a_segment_names_the_scenes_that_are_seen_in_it():
    timeline = plan_timeline(SCRIPT, {}, 30)

    found = plan_segments(timeline, SCRIPT, Output(), SOURCES, (), account="me", versions=VERSIONS)

    assert [segment.scene_ids for segment in found] == [
        ("one",),
        ("one", "two"),
        ("two",),
        ("two", "three"),
        ("three",),
    ]
    assert [len(segment.spec["layers"]) for segment in found] == [1, 2, 1, 2, 1]
    assert all(segment.frames == segment.spec["frames"] for segment in found)


def test_a_spec_survives_json():
    timeline = plan_timeline(SCRIPT, {}, 30)

    found = plan_segments(timeline, SCRIPT, Output(), SOURCES, (), account="me", versions=VERSIONS)

    assert all(json.loads(json.dumps(segment.spec)) == segment.spec for segment in found)
    assert max(len(json.dumps(segment.spec)) for segment in found) < 3000


def test_the_same_script_has_the_same_keys():
    assert keys() == keys()
    assert len(set(keys())) == 5


@pytest.mark.parametrize(
    ("index", "fields", "segments"),
    [
        pytest.param(
            0, {"text": (Text("Edited", end=2.0),)}, [0], id="a title that is gone before the transition"
        ),
        pytest.param(
            1, {"text": (Text("Edited"),)}, [1, 2, 3], id="a title that is seen in both transitions"
        ),
        pytest.param(2, {"visual": Visual("image", src="asset:a")}, [3, 4], id="a visual"),
        pytest.param(1, {"transition": Transition("wipe_left", 0.5)}, [1], id="a transition's kind"),
        pytest.param(1, {"id": "renamed"}, [], id="an id"),
        pytest.param(0, {"pad_before": 0.3}, [], id="a silent scene's pauses"),
    ],
)
def test_an_edit_changes_only_the_keys_of_segments_that_show_it(index, fields, segments):
    assert changed(keys(), keys(edited(index, **fields))) == segments


def test_a_longer_scene_moves_the_rest_without_changing_its_keys():
    before, after = keys(), keys(edited(0, duration=6))

    assert changed(before, after) == [0, 1]


def test_a_longer_narration_changes_no_caption_of_a_later_scene():
    def captioned(seconds: Fraction) -> list[str]:
        timeline = plan_timeline(SCRIPT, {"one": seconds, "three": Fraction(3)}, 30)
        begin = float(timeline.scenes[2].narration_start)
        words = (CueWord("It", begin, begin + 0.123, 0), CueWord("speaks.", begin + 0.2, begin + 1.017, 0))
        cue = Cue(begin, begin + 1.4, ("It speaks.",), words)
        script = replace(SCRIPT, captions=Captions("words", "bottom"))
        return keys(script, cues=(cue,), narration={"one": seconds, "three": Fraction(3)})

    before = captioned(Fraction(5))

    for samples in range(240_000, 264_000, 971):
        assert changed(before, captioned(Fraction(samples, 48_000))) in ([], [0], [0, 1])


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"account": "you"}, id="account"),
        pytest.param({"versions": {**VERSIONS, "ffmpeg": "10"}}, id="ffmpeg"),
        pytest.param({"output": Output(aspect="9:16")}, id="aspect"),
        pytest.param({"output": Output(fps=25)}, id="fps"),
        pytest.param({"output": Output(quality="high")}, id="quality"),
    ],
)
def test_a_change_to_all_pixels_changes_every_key(other):
    assert not set(keys()) & set(keys(**other))


def test_formats_and_sidecars_change_no_key():
    assert keys(output=Output(formats=("mp4", "webm"), sidecars=())) == keys()


def test_a_files_content_changes_the_key_and_its_storage_key_does_not():
    moved = SOURCES | {"asset:b": replace(SOURCES["asset:b"], storage_key="elsewhere")}
    other = SOURCES | {"asset:b": replace(SOURCES["asset:b"], media=media("c"))}

    assert keys(sources=moved) == keys()
    assert changed(keys(), keys(sources=other)) == [1, 2, 3]


def test_a_theme_changes_only_what_it_is_seen_in():
    plain = edited(2, visual=Visual("video", src="asset:v"))

    found = changed(keys(plain), keys(replace(plain, theme="noir")))

    assert found == [0, 1, 2, 3]  # the clip of the last body covers the frame, and no text is on it


def test_an_overlay_changes_the_segments_in_which_it_is_seen():
    logo = ImageOverlay("asset:a", start=0.0, end=3.6)

    found = changed(keys(), keys(replace(SCRIPT, overlays=(logo,))))

    assert found == [0, 1]


def test_a_still_that_does_not_move_is_the_same_wherever_it_is_seen():
    scene = Scene("s", visual=Visual("image", src="asset:a"), duration=2)

    short = keys(Script((scene, replace(scene, id="t"))))

    assert short[0] == short[1]


def test_a_long_scene_is_cut_into_equal_pieces():
    script = Script((Scene("long", duration=61, visual=Visual("video", src="asset:v")),))
    timeline = plan_timeline(script, {}, 25)

    found = plan_segments(timeline, script, Output(fps=25), SOURCES, (), account="me", versions=VERSIONS)

    assert [segment.frames for segment in found] == [381, 381, 381, 382]
    assert [segment.spec["layers"][0]["visual"]["from"] for segment in found] == [0, 381, 762, 1143]


def test_planning_five_times_the_scenes_takes_five_times_the_work():
    scenes = tuple(
        Scene(f"s{i}", visual=Visual("image", src="asset:a", motion="zoom_in"), text=(Text(f"Scene {i}"),), transition=FADE)
        for i in range(500)
    )  # fmt: skip
    cues = [Cue(i * 3.6 + 0.3, i * 3.6 + 2.9, ("Two lines", "of captions"), ()) for i in range(500)]

    def made(number):
        script = Script(scenes[:number])
        timeline = plan_timeline(script, {scene.id: Fraction(3) for scene in scenes}, 30)
        return plan_segments(
            timeline, script, OUTPUT, SOURCES, cues[:number], account="me", versions=VERSIONS
        )

    assert len(made(500)) == 999
    assert calls(lambda: made(500)) <= 5.2 * calls(lambda: made(100))
