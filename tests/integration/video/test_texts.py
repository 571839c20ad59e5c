from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

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
from tests.integration.video.rendering import render_script, show

pytestmark = pytest.mark.services

PLAIN = Visual("color", colors=("#0b1220",))
HD = Output(resolution="720p", fps=25)
SAMPLES = {
    "en": "How a reef is born", "el": "Πώς γεννιέται", "ru": "Как рождается риф", "zh": "珊瑚礁是如何诞生的",
    "ja": "サンゴ礁の誕生", "ko": "산호초의 탄생", "ar": "كيف تولد الشعاب", "he": "כך נולדת שונית", "hi": "प्रवाल भित्ति",
    "th": "แนวปะการัง", "bn": "প্রবাল প্রাচীর", "ta": "பவளப்பாறை", "emoji": "🐠🐙🌊👩‍🚀❤️",
}  # fmt: skip


def ink(frame: np.ndarray, ground: np.ndarray) -> np.ndarray:
    return np.abs(frame.astype(int) - ground.astype(int)) > 60


@pytest.mark.parametrize("language", SAMPLES)
def test_scripts_are_drawn_as_glyphs_with_no_font_installed(tmp_path, language):
    video = show(tmp_path, PLAIN, text=(Text(SAMPLES[language]),), language=language, output=HD)

    frame = video.frames()[0]
    columns = ink(frame, frame[2, 2]).any(0)
    letters = int(np.diff(columns.astype(int)).clip(0).sum())  # separate shapes from left to right
    assert video.warnings == []
    assert columns.sum() > 100
    # Boxes are all alike; letters differ in height.
    shapes = np.split(ink(frame, frame[2, 2]), np.flatnonzero(np.diff(columns.astype(int))) + 1, axis=1)
    assert letters >= 1
    assert len({int(part.sum()) for part in shapes}) > 2


def test_a_character_that_no_font_has_is_a_warning(tmp_path):
    video = show(tmp_path, PLAIN, text=(Text("Runes \U00016a00 and reefs"),))

    assert len(video.warnings) == 1
    assert "U+16A00" in video.warnings[0]


@pytest.mark.parametrize(
    "text",
    [
        "'",
        "a:b",
        "100%",
        "\\N \\h \\pos(1,2)",
        "{\\b1}bold{\\b0}",
        "[out];[in]",
        "two\nlines",
        "%{pts} ${HOME}",
        '"q" `x`',
        "{",
        "}",
    ],
)
def test_no_text_is_read_as_an_override(tmp_path, text):
    plain = show(tmp_path / "plain", PLAIN, text=(Text("x" + text),)).frames()[0]
    empty = show(tmp_path / "empty", PLAIN, text=(Text("x"),)).frames()[0]

    assert ink(plain, plain[2, 2]).sum() > ink(empty, empty[2, 2]).sum()


@pytest.mark.parametrize("aspect", ["16:9", "9:16", "1:1"])
@pytest.mark.parametrize("role", ["title", "subtitle", "lower_third", "quote", "label"])
def test_a_long_text_leaves_the_margins_free(tmp_path, aspect, role):
    words = "An endless text of many words that will not fit. " * 8

    frame = show(
        tmp_path, Visual("color", colors=("#ffffff",)), text=(Text(words, role),), theme="noir",
        output=Output(aspect=aspect, resolution="360p", fps=25),
    ).frames()[0]  # fmt: skip

    marked = np.abs(frame.astype(int) - int(frame[0, 0])) > 25
    high, wide = marked.shape
    assert marked.any()
    # A glow may spread into the margin; letters may not.
    edge = 0.03
    assert not marked[: int(edge * high)].any()
    assert not marked[int((1 - edge) * high) :].any()
    assert not marked[:, : int(edge * wide)].any()
    assert not marked[:, int((1 - edge) * wide) :].any()


def test_a_text_is_on_screen_from_its_start_to_its_end(tmp_path):
    text = Text("Now", start=0.4, end=0.8)

    frames = show(tmp_path, PLAIN, text=(text,), duration=1.2).frames()

    seen = [bool(ink(frame, frames[0]).any()) for frame in frames]
    assert seen == [10 <= index < 20 for index in range(30)]


@pytest.mark.parametrize("animation", ["fade", "rise", "type"])
def test_an_animation_continues_under_a_transition(tmp_path, animation):
    scenes = (
        Scene("a", visual=PLAIN, duration=1),
        Scene(
            "b",
            visual=PLAIN,
            duration=2,
            transition=Transition("crossfade", 0.2),
            text=(Text("Arriving", animation=animation),),
        ),
    )

    frames = render_script(tmp_path, Script(scenes)).frames()

    amount = [float(np.abs(frame.astype(int) - frames[0].astype(int)).mean()) for frame in frames]
    assert amount[19] < 0.01
    assert amount[21] < amount[24] < amount[-1] * 1.02
    assert np.abs(np.diff(amount[40:])).max() < 0.05 * amount[-1]


def test_words_light_up_as_they_are_spoken(tmp_path):
    times = [(0.2, 0.6), (0.6, 0.9), (1.1, 1.6)]
    words = tuple(
        CueWord(text, start, end, 0)
        for text, (start, end) in zip(("One", "two", "three"), times, strict=True)
    )
    cue = Cue(0.1, 1.8, ("One two three",), words)
    script = Script((Scene("a", visual=PLAIN, duration=2),), captions=Captions("words", "bottom"))

    frames = render_script(tmp_path, script, cues=[cue], output=HD).frames(rgb=True)

    lit = []
    for frame in frames:
        blue = (frame[..., 2].astype(int) - frame[..., 0] > 60) & (frame[..., 1] > 150)
        lit.append(float(np.flatnonzero(blue.any(0)).mean()) if blue.sum() > 30 else None)
    for index, place in enumerate(lit):
        far = min(abs(index / 25 - edge) for edge in sum(times, ())) > 0.08
        spoken = any(start <= index / 25 < end for start, end in times)
        assert not far or (place is not None) == spoken, index
    seen = [place for place in lit if place is not None]
    assert np.diff(seen).min() > -2


@pytest.mark.parametrize(
    ("position", "part"), [("top", (0.0, 0.3)), ("middle", (0.35, 0.65)), ("bottom", (0.7, 1.0))]
)
@pytest.mark.parametrize("aspect", ["16:9", "9:16"])
def test_captions_are_where_they_were_asked_for(tmp_path, position, part, aspect):
    cue = Cue(0.0, 1.0, ("Coral grows a centimetre a year,", "and no faster than that."), ())
    script = Script(
        (Scene("a", visual=PLAIN, duration=1),), captions=Captions("lines", position), theme="paper"
    )

    frame = render_script(
        tmp_path, script, cues=[cue], output=Output(aspect=aspect, resolution="360p", fps=25)
    ).frames()[5]

    rows = np.flatnonzero(ink(frame, frame[2, 2]).any(1)) / frame.shape[0]
    columns = np.flatnonzero(ink(frame, frame[2, 2]).any(0)) / frame.shape[1]
    assert part[0] < rows.min()
    assert rows.max() < part[1]
    assert columns.min() > 0.05
    assert columns.max() < 0.95


def test_no_captions_are_burnt_in_when_none_are_wanted(tmp_path):
    cue = Cue(0.0, 1.0, ("Unseen",), ())
    script = Script((Scene("a", visual=PLAIN, duration=1),), captions=Captions("none", "bottom"))

    frame = render_script(tmp_path, script, cues=[cue]).frames()[5]

    assert not ink(frame, frame[2, 2]).any()


@pytest.mark.parametrize(
    ("position", "place"),
    [
        ("top_left", (0, 0)),
        ("top_right", (0, 1)),
        ("bottom_right", (1, 1)),
        ("center", (0.5, 0.5)),
        ("bottom", (1, 0.5)),
    ],
)
def test_a_logo_lies_over_every_scene_and_transition(tmp_path, position, place):
    Image.new("RGBA", (200, 100), (255, 40, 40, 255)).save(tmp_path / "x.png")
    scenes = (
        Scene("a", visual=PLAIN, duration=0.6),
        Scene("b", duration=0.6, transition=Transition("slide_left", 0.2)),
    )
    logo = ImageOverlay("logo", position=position, width=0.2)

    video = render_script(tmp_path, Script(scenes, overlays=(logo,)), {"logo": tmp_path / "x.png"})

    for frame in video.frames(rgb=True):
        red = (frame[..., 0] > 180) & (frame[..., 1] < 110)
        rows, columns = np.flatnonzero(red.any(1)), np.flatnonzero(red.any(0))
        assert abs(len(columns) - 128) <= 4
        assert abs(len(rows) - 64) <= 4
        free = (360 - len(rows), 640 - len(columns))
        found = (rows[0] / free[0], columns[0] / free[1])
        assert np.abs(np.subtract(found, place)).max() < 0.07


def test_a_logo_can_be_translucent_and_come_and_go(tmp_path):
    Image.new("RGBA", (64, 64), (255, 255, 255, 255)).save(tmp_path / "x.png")
    logo = ImageOverlay("logo", position="center", width=0.3, opacity=0.5, start=0.4, end=0.8)
    scene = Scene("a", visual=Visual("color", colors=("#000000",)), duration=1.2)

    frames = render_script(tmp_path, Script((scene,), overlays=(logo,)), {"logo": tmp_path / "x.png"}).frames(
        rgb=True
    )

    light = [int(frame[180, 320, 1]) for frame in frames]
    assert all(
        (abs(value - 128) < 12) if 10 <= index < 20 else value < 8 for index, value in enumerate(light)
    )


def test_later_overlays_lie_on_top(tmp_path):
    for name, color in (("a", (255, 0, 0)), ("b", (0, 255, 0))):
        Image.new("RGB", (64, 64), color).save(tmp_path / f"{name}.png")
    files = {name: tmp_path / f"{name}.png" for name in "ab"}
    scene = Scene("s", visual=PLAIN, duration=0.2)

    def middle(*order):
        overlays = tuple(ImageOverlay(name, position="center", width=0.2) for name in order)
        folder = tmp_path / "".join(order)
        return render_script(folder, Script((scene,), overlays=overlays), files).frames(rgb=True)[0][180, 320]

    assert middle("a", "b")[1] > 200
    assert middle("b", "a")[0] > 200


def test_a_narrated_scene_shows_its_captions_while_it_is_spoken(tmp_path):
    script = Script((Scene("a", visual=PLAIN),))

    video = render_script(
        tmp_path, script, narration={"a": Fraction(1)}, cues=[Cue(0.2, 1.2, ("Spoken.",), ())]
    )

    seen = [bool(ink(frame, frame[2, 2]).any()) for frame in video.frames()]
    assert seen == [5 <= index < 30 for index in range(40)]
