"""A resolved script written as JSON loads as the same script."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.script.schema.canonical import dump_script, list_sources
from shared.script.schema.loading import load, parse_strict_json
from shared.script.schema.script import ScriptSchema
from shared.script.schema.visuals import FIT, MOTION, WHEN_SHORT

ID = "asset:6f1c0a52-9d0e-4b1e-8a52-1f0c2d3e4f50"

words = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=30) | st.sampled_from(
    ["{{name}}", "{{{name}}}", "It's {{name}}: 100%", "a\nb\tc", "{{ no }}", "שלום 😀", "一。二"]
)
src = st.sampled_from([ID, "https://example.org/a.jpg?x=%7B", "{{picture}}"])
color = st.from_regex(r"#[0-9a-fA-F]{6}", fullmatch=True)


def numbers(least: float, most: float):
    return st.floats(least, most) | st.integers(int(least) + 1, int(most))


def some(**members):
    """An object with some of the members."""
    return st.fixed_dictionaries({}, optional=members)


voice = some(name=st.sampled_from(["en-us", "none"]), speed=numbers(0.5, 2))
still = st.fixed_dictionaries({"type": st.just("color"), "colors": st.lists(color, min_size=1, max_size=1)})
gradient = st.fixed_dictionaries(
    {"type": st.just("gradient"), "colors": st.lists(color, min_size=2, max_size=4)}
)
fetched = {"fit": st.sampled_from(FIT), "motion": st.sampled_from(MOTION)}


def pictures(fallback):
    more = {**fetched, "fallback": fallback}
    clip = {
        "start": numbers(0, 100),
        "speed": numbers(0.25, 4),
        "volume": numbers(0, 1),
        "when_short": st.sampled_from(WHEN_SHORT),
    }
    return st.one_of(
        st.fixed_dictionaries({"type": st.just("image"), "src": src}, optional=more),
        st.fixed_dictionaries({"type": st.just("video"), "src": src}, optional={**more, **clip}),
        st.fixed_dictionaries(
            {"type": st.just("stock"), "query": words},
            optional={**more, "kind": st.sampled_from(["photo", "clip"])},
        ),
        st.fixed_dictionaries({"type": st.just("generated"), "prompt": words}, optional=more),
    )


visual = st.recursive(still | gradient, pictures, max_leaves=3)
span = st.sampled_from([{}, {"start": 1}, {"end": 2.5}, {"start": 0.5, "end": 3}])
role = some(
    role=st.sampled_from(["title", "quote", "label"]), animation=st.sampled_from(["none", "fade", "type"])
)
text = st.builds(lambda text, role, span: {"text": text, **role, **span}, words, role, span)
image = st.builds(lambda src, span: {"type": "image", "src": src, "position": "left", **span}, src, span)
transition = st.sampled_from(
    [
        {"type": "cut"},
        {"type": "crossfade"},
        {"type": "zoom", "duration": 2},
        {"type": "wipe_left", "duration": 0.1},
    ]
)
pads = {"pad_before": numbers(0, 10), "pad_after": numbers(0, 10), "silent_duration": numbers(0.2, 600)}
scene = some(
    narration=words | some(text=words, voice=voice, src=src),
    visual=visual,
    text=st.lists(text, max_size=2),
    duration=numbers(0.2, 600),
    transition=transition,
    **pads,
)
script = st.fixed_dictionaries(
    {
        "variables": st.just({"name": "{{name}} {{picture}}", "picture": ID}),
        "scenes": st.lists(scene, min_size=1, max_size=3),
    },
    optional={
        "title": st.sampled_from(["A title", "", " {{name}} "]),
        "language": st.sampled_from(["en", "pt-BR", "zh-Hant-TW"]),
        "theme": st.just("slate"),
        "defaults": some(voice=voice, transition=transition, **fetched, **pads),
        "captions": some(style=st.sampled_from(["none", "words"]), position=st.just("middle")),
        "music": st.fixed_dictionaries(
            {"src": src}, optional={"volume": numbers(0, 1), "duck": st.booleans()}
        ),
        "overlays": st.lists(text | image, max_size=2),
    },
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(script)
def test_a_script_that_is_written_and_loaded_again_is_the_same(document):
    resolved = load(ScriptSchema(), document)
    written = json.dumps(dump_script(resolved)).encode()

    again = load(ScriptSchema(), parse_strict_json(written))

    assert again == resolved
    assert dump_script(again) == dump_script(resolved)


def test_sources_are_found_at_their_place_in_the_clients_document():
    document = {
        "variables": {"clip": "https://example.org/b.mp4"},
        "music": {"src": ID},
        "overlays": [{"text": "a"}, {"type": "image", "src": ID}],
        "scenes": [
            {"enabled": False, "visual": {"type": "image", "src": ID}},
            {
                "narration": {"src": ID},
                "visual": {
                    "type": "stock",
                    "query": "x",
                    "fallback": {
                        "type": "video",
                        "src": "{{clip}}",
                        "fallback": {"type": "image", "src": ID},
                    },
                },
            },
        ],
    }

    found = list_sources(load(ScriptSchema(), document), document, "#/script")

    assert found == (
        ("#/script/music/src", ID, "sound"),
        ("#/script/overlays/1/src", ID, "image"),
        ("#/script/scenes/1/narration/src", ID, "sound"),
        ("#/script/scenes/1/visual/fallback/src", "https://example.org/b.mp4", "video"),
        ("#/script/scenes/1/visual/fallback/fallback/src", ID, "image"),
    )


def test_sources_of_a_resolved_script_are_counted_by_its_own_scenes():
    resolved = load(
        ScriptSchema(), {"scenes": [{"enabled": False}, {"visual": {"type": "image", "src": ID}}]}
    )

    assert list_sources(resolved) == (("#/scenes/0/visual/src", ID, "image"),)
