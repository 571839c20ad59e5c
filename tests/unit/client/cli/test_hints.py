"""What the command adds to the API's errors: the line of the file, and the member that was meant. It never fails itself."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenemill.cli import documents, hints
from scenemill.cli.positions import line_of
from scenemill.types.problems import WrongPlace

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
UNKNOWN = "Unknown field."
SCENE = {"narration": {"text": "x"}, "visual": {"type": "image", "src": "a", "fallback": {"type": "color"}}}
JOB = {"kind": "video", "script": {"scenes": [SCENE], "overlays": [{"type": "image"}, {"text": "x"}]}}


def told(pointer, job=JOB, detail=UNKNOWN):
    ((_, words),) = hints.places([WrongPlace(pointer=pointer, detail=detail)], hints.Posted(job))
    return words.removeprefix(detail).strip()


@pytest.mark.parametrize(
    ("pointer", "words"),
    [
        ("#/scrpt", "Did you mean script?"),
        ("#/output/resolutoin", "Did you mean resolution?"),
        ("#/script/titel", "Did you mean title?"),
        ("#/script/scenes/0/narations", "Did you mean narration?"),
        ("#/script/scenes/0/narration/txt", "Did you mean text?"),
        ("#/script/scenes/0/visual/moton", "Did you mean motion?"),
        ("#/script/scenes/0/visual/fallback/color", "Did you mean colors?"),
        ("#/script/scenes/0/visual/fallback/motion", "Known here: colors, type."),
        ("#/script/overlays/0/opacty", "Did you mean opacity?"),
        ("#/script/overlays/1/anmation", "Did you mean animation?"),
        ("#/script/captions/stile", "Did you mean style?"),
        ("#/script/variables/x", ""),
        ("#/metadata/x", ""),
        ("#", ""),
        ("", ""),
    ],
)
def test_an_unknown_member_is_told_with_those_of_its_place(pointer, words):
    assert told(pointer) == words


def test_a_script_job_and_a_batch_have_members_of_their_own():
    assert told("#/brief/topik", {"kind": "script"}) == "Did you mean topic?"
    assert told("#/jobs/1/script/titel", {"jobs": [{}, JOB]}) == "Did you mean title?"


def test_other_errors_and_those_that_say_it_already_stay_as_they_are():
    assert told("#/scrpt", detail="Too long.") == ""
    assert told("#/scrpt", detail="Unknown field. Did you mean script?") == ""


@given(
    content=JSON,
    steps=st.lists(st.text(max_size=6) | st.sampled_from(["script", "scenes", "jobs", "0"]), max_size=6),
)
def test_no_answer_of_a_server_makes_a_hint_fail(content, steps):
    told("#" + "".join(f"/{step}" for step in steps), content)


TEXT = """{
  "title": "A \\"brace\\" { and [ in a string",
  "scenes": [
    {"id": "one"},
    {
      "id": "two",
      "visual": {"type": "image", "src": "a.png"}
    }
  ], "last": 1, "late":
  [2]
}
"""


@pytest.mark.parametrize(
    ("way", "line"),
    [
        ("", None),
        ("title", 2),
        ("scenes", 3),
        ("scenes/0/id", 4),
        ("scenes/1", 5),
        ("scenes/1/visual/src", 7),
        ("scenes/1/visual/none", 7),
        ("scenes/7", 3),
        ("title/below", 2),
        ("last", 9),
        ("late", 9),
        ("late/0", 10),
        ("none", None),
    ],
)
def test_the_line_of_a_place_is_found(way, line):
    assert line_of(TEXT, way.split("/") if way else []) == line


def ways(value, above=()):
    """Give the way to every value."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in below:
        yield (*above, str(name))
        yield from ways(inner, (*above, str(name)))


@given(value=JSON, indent=st.sampled_from([None, 2]))
def test_the_line_of_every_place_of_any_document_is_found(value, indent):
    text = json.dumps(value, indent=indent, ensure_ascii=False)

    for way in ways(value):
        line = line_of(text, way)
        assert line is not None
        # A list that is indented has an item a line: its own line is at least as far down as the way is long.
        assert line >= (len(way) + 1 if indent else 1)


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value)[:40].encode()))
def test_whatever_a_file_holds_it_is_an_object_or_a_sentence(content):
    def read():
        try:
            return documents.parse_object(content, "tale.json")
        except documents.Unreadable as error:
            return error.message

    found = read()

    assert isinstance(found, dict) or found.startswith("tale.json")
