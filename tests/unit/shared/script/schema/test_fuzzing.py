"""Any document is either accepted, or refused with pointers to places in it."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from api.batches.row_checking import RowChecker
from api.schemas.batch import BatchSchema
from api.schemas.job import JobSchema
from shared.errors import Invalid
from shared.script.schema.loading import load, parse_strict_json
from shared.script.schema.script import ScriptSchema

NAMES = st.sampled_from(
    """
    kind script brief output jobs defaults scenes id narration text voice visual type src colors fallback query prompt fit
    motion start end speed volume when_short transition duration enabled variables music overlays captions style position
    title language theme metadata webhook url events topic source_text keywords formats fps _schema a/b ~ role pad_before
    """.split()  # noqa: SIM905 - words are read best as words
)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        [
            "video", "image", "gradient", "crossfade", "cut", "{{a}}", "{{b}}", "https://x.test/", "asset:1", "#ffffff",
            "slate", "en", "words", 1, 30, 0.5, 10**400, "\ud800", "\x00", [], {},
        ]
    )
)  # fmt: skip
ANYTHING = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=25,
)


def resolve(document, pointer: str):
    """Follow a pointer as far as the document goes; the last step may be a missing member."""
    steps = [part.replace("~1", "/").replace("~0", "~") for part in pointer.removeprefix("#").split("/")[1:]]
    for at, step in enumerate(steps):
        if isinstance(document, list):
            document = document[int(step)]
        elif step in document:
            document = document[step]
        else:
            assert at == len(steps) - 1, pointer
            return


def check(schema, document) -> None:
    places = ()
    try:
        load(schema, document)
    except Invalid as error:
        json.dumps(error.problem())
        places = error.args[1] or [("", "Refused without a place")]
    for pointer, detail in places:
        assert detail.endswith(".")
        resolve(document, pointer)


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(NAMES, ANYTHING, max_size=6).map(lambda members: {"scenes": [{}], **members}) | ANYTHING
)
def test_any_script(document):
    check(ScriptSchema(), document)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.dictionaries(NAMES, ANYTHING, max_size=6), max_size=4))
def test_any_scenes(scenes):
    check(ScriptSchema(), {"scenes": scenes, "variables": {"a": "{{b}}"}})


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(NAMES, ANYTHING, max_size=6).map(lambda members: {"kind": "video", **members}) | ANYTHING
)
def test_any_job(document):
    check(JobSchema(), document)


@settings(max_examples=30, deadline=None)
@given(
    st.fixed_dictionaries(
        {"jobs": st.lists(st.dictionaries(NAMES, ANYTHING, max_size=4), max_size=3) | ANYTHING},
        optional={"defaults": st.dictionaries(NAMES, ANYTHING, max_size=3) | ANYTHING},
    )
)
def test_any_batch(document):
    places: tuple = ()
    try:
        spec = load(BatchSchema(), document)
        places = tuple(RowChecker(spec.defaults).check(list(enumerate(document["jobs"])))[1])
    except Invalid as error:
        places = error.args[1]
    for pointer, detail in places:
        assert detail.endswith(".")
        resolve(document, pointer)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(NAMES, ANYTHING, max_size=5))
def test_any_json_is_parsed_as_it_was_written(document):
    finite = json.loads(json.dumps(document, allow_nan=True), parse_constant=lambda _: 0)
    written = json.dumps(finite).encode()

    assert parse_strict_json(written) == json.loads(
        written, parse_int=lambda digits: int(digits) if len(digits) < 401 else float(digits)
    )
