from __future__ import annotations

from itertools import combinations

import pytest

from shared.script import timeline
from shared.script.values import Captions, Narration, Scene, Script, Text
from tasks.video.picture.elements import chart
from tasks.video.picture.text.boxes import resolve_box
from tasks.video.picture.text.canvas import Canvas
from tasks.video.plan import text_layers, text_placement
from tasks.video.plan.segments import split_spans

CANVASES = {"wide": Canvas(1920, 1080, 25, 100, "en"), "tall": Canvas(1080, 1920, 25, 100, "en")}
CAPTIONED = {
    "wide": {"bottom": (0.79, 0.93), "middle": (0.425, 0.575), "top": (0.07, 0.21)},
    "tall": {"bottom": (0.73, 0.83), "middle": (0.435, 0.565), "top": (0.10, 0.20)},
}
ROLES = ("title", "subtitle", "quote", "label", "lower_third")


def scene(*roles, spoken=True):
    texts = tuple(Text(role, role) for role in roles)
    return Scene("s", text=texts, narration=Narration("said") if spoken else None)


def placed(one, captions="bottom", overlays=()):
    """Return what the specs say of texts that are all on screen at once."""
    script = Script((one,), captions=Captions("lines", captions), overlays=overlays)
    line = timeline.plan_timeline(script, {}, 25)
    return text_layers.describe_texts(one, script, line.scenes[0], next(iter(split_spans(line))), line)


@pytest.mark.parametrize("captions", ["bottom", "middle", "top"])
@pytest.mark.parametrize("shape", ["wide", "tall"])
@pytest.mark.parametrize(
    "roles", list(combinations(ROLES, 2)) + list(combinations(ROLES, 3)) + [ROLES], ids="+".join
)
def test_no_role_lies_on_another_or_on_captions(roles, shape, captions):
    canvas = CANVASES[shape]
    boxes = [resolve_box(item, canvas) for item in placed(scene(*roles), captions)]

    first, last = (part * canvas.height for part in CAPTIONED[shape][captions])
    hair = 0.011 * canvas.height
    for box in boxes:
        assert box.bottom <= first + hair or box.top >= last - hair
    for one, other in combinations(boxes, 2):
        apart = one.right <= other.left or other.right <= one.left
        assert apart or one.bottom <= other.top + hair or other.bottom <= one.top + hair


def test_two_of_a_kind_share_its_place():
    boxes = [resolve_box(item, CANVASES["wide"]) for item in placed(scene("title", "title"))]

    assert boxes[0].bottom == pytest.approx(boxes[1].top)


def test_a_scene_without_captions_has_the_middle_to_itself():
    assert "band" not in placed(scene("title", spoken=False), "middle")[0]


def test_a_label_makes_way_for_one_that_stays_over_the_whole_video():
    (item,) = placed(scene("label"), overlays=(Text("Sea School", "label"),))

    assert item["place"] == "under"


def test_a_lower_third_over_the_whole_video_is_above_its_captions():
    one = scene()
    script = Script((one,), overlays=(Text("Sea School", "lower_third"),))
    line = timeline.plan_timeline(script, {}, 25)

    (item,) = text_layers.describe_overlays(script, {}, next(iter(split_spans(line))), line)

    assert item["place"] == "raised"


@pytest.mark.parametrize("blank", ["   ", "\n\n", "\t"])
def test_a_blank_text_draws_nothing(blank):
    one = Scene("s", text=(Text(blank), Text("said")))

    assert [item["text"] for item in placed(one)] == ["said"]


@pytest.mark.parametrize(
    ("captions", "spoken", "roles", "clear"),
    [
        pytest.param("bottom", True, (), ["bottom"], id="captions"),
        pytest.param("bottom", False, (), [], id="nothing"),
        pytest.param("top", True, ("label",), ["label", "top"], id="captions and a label"),
    ],
)
def test_a_chart_leaves_room_for_labels_and_captions(captions, spoken, roles, clear):
    one = scene(*roles, spoken=spoken)
    script = Script((one,), captions=Captions("lines", captions))

    assert text_placement.chart_clearance(one, text_placement.find_surroundings(script, one)) == clear


@pytest.mark.parametrize("shape", ["wide", "tall"])
@pytest.mark.parametrize("captions", ["bottom", "top"])
def test_a_chart_lies_beside_captions(captions, shape):
    place = chart.place_chart([captions], CANVASES[shape])

    first, last = CAPTIONED[shape][captions]
    assert place.bottom <= first or place.top >= last
