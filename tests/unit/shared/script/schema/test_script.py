"""What the script schema accepts, what it refuses and where, and what it resolves to."""

from __future__ import annotations

import tracemalloc

import pytest

from shared.errors import Invalid
from shared.script.schema.canonical import dump_script
from shared.script.schema.loading import load
from shared.script.schema.script import ScriptSchema
from shared.script.values import (
    Captions,
    ImageOverlay,
    Music,
    Narration,
    Script,
    Text,
    Transition,
    Visual,
    Voice,
)
from tests.work import calls

ASSET = "asset:6f1c0a52-9d0e-4b1e-8a52-1f0c2d3e4f50"


def script(**members) -> Script:
    return load(ScriptSchema(), {"scenes": [{"narration": "Hello."}], **members})


def scene(**members):
    """The second scene of two, as the first one has no transition."""
    return script(scenes=[{}, members]).scenes[1]


def errors(document) -> dict[str, str]:
    with pytest.raises(Invalid) as raised:
        load(ScriptSchema(), document)
    return dict(raised.value.args[1])


def scene_errors(**members) -> dict[str, str]:
    return {where.removeprefix("#/scenes/0"): what for where, what in errors({"scenes": [members]}).items()}


def test_the_smallest_script_is_complete():
    small = load(ScriptSchema(), {"scenes": [{"narration": "Hello, world."}]})

    assert small.scenes[0].narration == Narration("Hello, world.")
    assert (small.title, small.language, small.theme) == ("Hello, world", "en", "slate")
    assert small.scenes[0].id == "scene-1"


def test_a_full_script_is_resolved():
    full = script(
        title="How a reef is born",
        variables={"channel": "Sea School", "year": 1998},
        defaults={
            "voice": {"name": "en-us", "speed": 1.1},
            "transition": {"type": "crossfade", "duration": 0.8},
            "motion": "pan_left",
            "fit": "blur",
            "pad_after": 1,
        },
        captions={"style": "words", "position": "top"},
        music={"src": ASSET, "duck": False},
        overlays=[{"type": "image", "src": ASSET}, {"text": "{{channel}}", "role": "label"}],
        scenes=[
            {"id": "opening", "visual": {"type": "image", "src": ASSET}},
            {
                "narration": {"text": "Since {{year}}.", "voice": {"speed": 0.9}},
                "visual": {"type": "video", "src": ASSET, "start": 2.5, "fit": "contain"},
                "text": [{"text": "It's {{channel}}: 100%", "role": "lower_third", "end": 2}],
            },
            {"transition": {"type": "cut"}, "pad_after": 0},
        ],
    )

    assert full.captions == Captions("words", "top")
    assert full.music == Music(ASSET, duck=False)
    assert full.overlays == (ImageOverlay(ASSET), Text("Sea School", role="label"))
    first, second, third = full.scenes
    assert first.visual == Visual("image", src=ASSET, fit="blur", motion="pan_left")
    assert first.transition == Transition()
    assert second.narration == Narration("Since 1998.", Voice("en-us", 0.9))
    assert second.visual == Visual("video", src=ASSET, start=2.5, fit="contain", motion="none")
    assert second.text == (Text("It's Sea School: 100%", "lower_third", end=2.0),)
    assert second.transition == Transition("crossfade", 0.8)
    assert (second.pad_before, second.pad_after, second.silent_duration) == (0.2, 1.0, 4.0)
    assert (third.transition, third.pad_after) == (Transition(), 0.0)


def test_a_picture_moves_by_default_and_a_colour_does_not():
    assert scene(visual={"type": "image", "src": ASSET}).visual.motion == "zoom_in"
    assert scene(visual={"type": "color", "colors": ["#AABBCC"]}).visual == Visual(
        "color", colors=("#aabbcc",)
    )


def test_a_fallback_takes_the_defaults_too():
    visual = {"type": "stock", "query": "reef", "fallback": {"type": "image", "src": ASSET}}
    loaded = script(defaults={"fit": "contain"}, scenes=[{"visual": visual}]).scenes[0].visual

    assert loaded.fallback == Visual("image", src=ASSET, fit="contain", motion="zoom_in")


def test_a_transition_without_a_duration_gets_the_default():
    assert scene(transition={"type": "zoom"}).transition == Transition("zoom", 0.5)
    usual = {"transition": {"type": "crossfade", "duration": 1.5}}
    loaded = script(defaults=usual, scenes=[{}, {"transition": {"type": "zoom"}}])
    assert loaded.scenes[1].transition == Transition("zoom", 1.5)


def test_the_first_scene_has_no_transition():
    fade = {"type": "crossfade", "duration": 1}
    loaded = script(scenes=[{"transition": fade}, {"transition": fade}])

    assert [each.transition.type for each in loaded.scenes] == ["cut", "crossfade"]


def test_disabled_scenes_are_dropped_and_rename_no_other():
    loaded = script(scenes=[{"enabled": False}, {}, {"id": "end"}])

    assert [each.id for each in loaded.scenes] == ["scene-2", "end"]
    assert loaded.scenes[0].transition == Transition()


def test_at_least_one_scene_is_enabled():
    assert errors({"scenes": [{"enabled": False}]}) == {"#/scenes": "At least one scene must be enabled."}


def test_a_generated_id_never_repeats_a_given_one():
    loaded = script(scenes=[{"id": "scene-2"}, {}])

    assert [each.id for each in loaded.scenes] == ["scene-2", "scene-2-"]


def test_the_second_scene_of_one_id_is_the_wrong_one_also_beside_other_errors():
    found = errors({"scenes": [{"id": "a"}, {"duration": "3"}, {"id": "a"}, {"id": "a"}]})

    assert found == {
        "#/scenes/1/duration": "Must be a number from 0.2 to 600.",
        "#/scenes/2/id": "Another scene has this id.",
        "#/scenes/3/id": "Another scene has this id.",
    }


def test_blank_narration_is_none():
    assert scene(narration="").narration is None
    assert scene(narration={"text": "  \n"}).narration is None
    assert scene(narration={"src": ASSET}).narration == Narration(src=ASSET)


def test_the_default_title_is_the_first_sentence():
    long = (
        "A reef begins with a single larva that settles on bare rock and never again in its long life moves."
    )

    assert script(scenes=[{}, {"narration": "One. Two."}]).title == "One"
    assert script(scenes=[{"narration": "一つの幼生。次。"}]).title == "一つの幼生"
    assert script(scenes=[{"text": [{"text": "Only\nshown"}]}]).title == "Only"
    assert script(scenes=[{}]).title == ""
    assert script(scenes=[{"narration": long}]).title == long[:78] + "…"


@pytest.mark.parametrize(
    ("members", "where", "what"),
    [
        pytest.param(
            {"duration": "3"}, "/duration", "Must be a number from 0.2 to 600.", id="text is no number"
        ),
        pytest.param(
            {"duration": True}, "/duration", "Must be a number from 0.2 to 600.", id="true is not 1"
        ),
        pytest.param({"duration": float("nan")}, "/duration", "Must be a number from 0.2 to 600.", id="NaN"),
        pytest.param({"duration": 600.1}, "/duration", "Must be a number from 0.2 to 600.", id="too long"),
        pytest.param({"duration": None}, "/duration", "May not be null.", id="null"),
        pytest.param({"enabled": 1}, "/enabled", "Must be true or false.", id="1 is not true"),
        pytest.param({"id": "A"}, "/id", "Must be 1 to 64 of a-z, 0-9, _ and -.", id="capital in an id"),
        pytest.param({"id": "a\n"}, "/id", "Must be a single line.", id="newline after an id"),
        pytest.param({"narration": 5}, "/narration", "Must be a string or an object.", id="a number to say"),
        pytest.param(
            {"narration": "x" * 5001}, "/narration", "Must be at most 5000 characters long.", id="much to say"
        ),
        pytest.param(
            {"narration": {"text": "x" * 5001}},
            "/narration/text",
            "Must be at most 5000 characters long.",
            id="much to say in an object",
        ),
        pytest.param(
            {"narration": {"voice": {"speed": 3}}},
            "/narration/voice/speed",
            "Must be a number from 0.5 to 2.",
            id="fast",
        ),
        pytest.param(
            {"narration": {"voice": "en"}}, "/narration/voice", "Must be an object.", id="voice by name"
        ),
        pytest.param({"visual": "image"}, "/visual", "Must be an object.", id="visual by name"),
        pytest.param({"visual": {}}, "/visual/type", "Missing.", id="visual without type"),
        pytest.param(
            {"visual": {"type": ["image"]}},
            "/visual/type",
            "Must be one of: color, gradient, chart, image, video, stock, generated.",
            id="visual of a strange type",
        ),
        pytest.param({"visual": {"type": "image"}}, "/visual/src", "Missing.", id="image without src"),
        pytest.param(
            {"visual": {"type": "image", "src": ASSET, "volume": 1}},
            "/visual/volume",
            "Unknown field.",
            id="an image's sound",
        ),
        pytest.param(
            {"visual": {"type": "color", "colors": ["#fff"]}},
            "/visual/colors/0",
            "Must be a colour such as #0d1b2a.",
            id="short colour",
        ),
        pytest.param(
            {"visual": {"type": "color", "colors": ["#ffffff"] * 2}},
            "/visual/colors",
            "Must have 1 item.",
            id="two",
        ),
        pytest.param(
            {"visual": {"type": "gradient", "colors": ["#ffffff"]}},
            "/visual/colors",
            "Must have 2 to 4 items.",
            id="one of a gradient",
        ),
        pytest.param(
            {"visual": {"type": "stock", "query": "a", "fallback": {"type": "video", "src": "x"}}},
            "/visual/fallback/src",
            "Must be asset:ID or an https URL.",
            id="in a fallback",
        ),
        pytest.param({"text": {}}, "/text", "Must be a list.", id="text as object"),
        pytest.param({"text": ["a"]}, "/text/0", "Must be an object.", id="text as string"),
        pytest.param({"text": [{"text": ""}]}, "/text/0/text", "May not be empty.", id="empty text"),
        pytest.param(
            {"text": [{"text": "a\u0007"}]},
            "/text/0/text",
            "May not contain control characters or lone surrogates.",
            id="bell",
        ),
        pytest.param(
            {"text": [{"text": "a\udc00"}]},
            "/text/0/text",
            "May not contain control characters or lone surrogates.",
            id="half a character",
        ),
        pytest.param(
            {"text": [{"text": "a", "start": 2, "end": 2}]}, "/text/0/end", "Must be after start.", id="end"
        ),
        pytest.param(
            {"transition": {"type": "cut", "duration": 1}},
            "/transition/duration",
            "A cut has no duration.",
            id="cut",
        ),
        pytest.param(
            {"transition": {"duration": 1}}, "/transition/type", "Missing.", id="transition of no type"
        ),
        pytest.param(
            {"narration": "{{who}}, {{who}}"}, "/narration", "Unknown variable: who.", id="variable"
        ),
    ],
)
def test_an_error_points_to_its_place(members, where, what):
    assert scene_errors(**members) == {where: what}


@pytest.mark.parametrize(
    ("members", "where", "what"),
    [
        pytest.param({"scenes": []}, "#/scenes", "Must have 1 to 500 items.", id="no scene"),
        pytest.param({"scenes": [{}] * 501}, "#/scenes", "Must have 1 to 500 items.", id="501 scenes"),
        pytest.param({"scenes": {}}, "#/scenes", "Must be a list.", id="scenes as object"),
        pytest.param({"scene": 1}, "#/scene", "Unknown field.", id="unknown member"),
        pytest.param({"language": "english language"}, "#/language", "Must be a language tag such as en or pt-BR.", id="tag"),
        pytest.param({"title": "a\nb"}, "#/title", "Must be a single line.", id="title of two lines"),
        pytest.param({"variables": {"a": True}}, "#/variables/a", "Must be a string or a number.", id="flag"),
        pytest.param(
            {"variables": {"a b": 1}},
            "#/variables/a b",
            "Must be named by 1 to 64 of a-z, A-Z, 0-9, _ and -.",
            id="name with a space",
        ),
        pytest.param({"music": {}}, "#/music/src", "Missing.", id="music without src"),
        pytest.param({"overlays": [{"type": "image"}]}, "#/overlays/0/src", "Missing.", id="overlay"),
        pytest.param({"overlays": [{}]}, "#/overlays/0/text", "Missing.", id="overlay without text"),
        pytest.param({"overlays": [{"type": "gif"}]}, "#/overlays/0/type", "Must be one of: text, image.", id="gif"),
    ],
)  # fmt: skip
def test_an_error_of_the_whole_points_to_the_script(members, where, what):
    assert errors({"scenes": [{}], **members}) == {where: what}


@pytest.mark.parametrize("document", [None, [], "script", 3], ids=["null", "list", "string", "number"])
def test_a_script_is_an_object(document):
    assert errors(document) == {"#": "Must be an object."}


def test_an_unknown_theme_names_those_there_are():
    assert "slate" in errors({"scenes": [{}], "theme": "none"})["#/theme"]
    assert script(theme="slate").theme == "slate"


def test_all_errors_are_reported_at_once():
    found = errors(
        {"titel": 1, "music": {"volume": 2}, "scenes": [{"duration": 0}, {"visual": {"type": "image"}}]}
    )

    assert set(found) == {
        "#/titel",
        "#/music/src",
        "#/music/volume",
        "#/scenes/0/duration",
        "#/scenes/1/visual/src",
    }


def test_text_with_special_characters_is_kept():
    words = 'It\'s 100%: \\N {not} a {{ placeholder }} or {{}}, "quoted"; עברית 😀\nnew line\ttab'

    assert scene(narration=words).narration == Narration(words)


def test_placeholders_in_a_variable_s_value_are_not_filled():
    loaded = script(variables={"a": "{{b}}", "b": "never"}, scenes=[{"narration": "{{a}}!"}])

    assert loaded.scenes[0].narration == Narration("{{b}}!")


def test_a_source_may_come_from_a_variable_and_is_checked_then():
    visual = {"type": "image", "src": "{{picture}}"}

    loaded = script(variables={"picture": ASSET}, scenes=[{"visual": visual}])

    assert loaded.scenes[0].visual.src == ASSET
    assert errors({"variables": {"picture": "file:///etc/passwd"}, "scenes": [{"visual": visual}]}) == {
        "#/scenes/0/visual/src": "Must be asset:ID or an https URL."
    }


def test_a_text_that_would_grow_too_long_is_refused_before_it_is_built():
    text = "{{a}}" * 200_000
    document = {"variables": {"a": "x" * 5000}, "scenes": [{"narration": text}]}

    tracemalloc.start()
    try:
        found = errors(document)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert "once its variables are filled in" in found["#/scenes/0/narration"]
    assert most < 100_000_000  # bytes; it would be a thousand million characters


def test_variables_of_one_script_do_not_reach_the_next():
    script(variables={"a": "1"}, scenes=[{"narration": "{{a}}"}])

    assert scene_errors(narration="{{a}}") == {"/narration": "Unknown variable: a."}


def test_loading_five_times_the_scenes_takes_five_times_the_work():
    scenes = [
        {
            "id": f"s{number}",
            "narration": {"text": "Coral grows a centimetre a year. " * 4, "voice": {"speed": 1.1}},
            "visual": {"type": "image", "src": ASSET, "fit": "cover"},
            "text": [{"text": "Day 1", "role": "lower_third", "animation": "rise"}],
            "transition": {"type": "slide_left", "duration": 0.6},
        }
        for number in range(500)
    ]

    few, many = ({"scenes": scenes[:number]} for number in (100, 500))

    assert len(load(ScriptSchema(), many).scenes) == 500
    assert calls(lambda: load(ScriptSchema(), many)) <= 5.1 * calls(lambda: load(ScriptSchema(), few))


def test_a_chart_s_values_may_be_variables():
    bars = [{"label": "{{name}}", "value": "{{value}}"}, {"label": "B", "value": 2}]
    script = load(
        ScriptSchema(),
        {"variables": {"name": "A", "value": 1.5}, "scenes": [{"visual": {"type": "chart", "bars": bars}}]},
    )

    assert [(bar.label, bar.value) for bar in script.scenes[0].visual.bars] == [("A", 1.5), ("B", 2.0)]
    assert load(ScriptSchema(), dump_script(script)) == script


def test_colours_themes_languages_and_durations_may_be_variables():
    script = load(
        ScriptSchema(),
        {
            "variables": {"brand": "#FF0000", "look": "paper", "tongue": "de", "long": 3},
            "theme": "{{look}}",
            "language": "{{tongue}}",
            "scenes": [{"duration": "{{long}}", "visual": {"type": "color", "colors": ["{{brand}}"]}}],
        },
    )

    assert (script.theme, script.language, script.scenes[0].duration) == ("paper", "de", 3.0)
    assert script.scenes[0].visual.colors == ("#ff0000",)


@pytest.mark.parametrize("value", ["{{word}}", "{{none}}", "{{long}}s", "3"])
def test_a_number_field_accepts_no_text_but_a_placeholder(value):
    document = {"variables": {"word": "three", "long": 3}, "scenes": [{"duration": value}]}

    with pytest.raises(Invalid):
        load(ScriptSchema(), document)
