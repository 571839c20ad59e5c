"""Strict JSON, and errors with their places."""

from __future__ import annotations

import math

import pytest
from marshmallow import ValidationError

from shared.errors import BadRequest, Invalid
from shared.script.schema.loading import (
    MAX_DEPTH,
    MAX_ERRORS,
    as_invalid,
    json_pointer,
    load,
    parse_strict_json,
)
from shared.script.schema.script import ScriptSchema


def test_json_is_read():
    body = '{"a": [1, 2.5, true, null, "é 😀"]}'.encode()

    assert parse_strict_json(body) == {"a": [1, 2.5, True, None, "é 😀"]}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b'{"a": 1,\n "b" 2}', "line 2, column 6", id="broken in the second line"),
        pytest.param(b"", "line 1, column 1", id="empty"),
        pytest.param(b'{"a": 1} x', "line 1, column 10", id="more after the end"),
        pytest.param(b'{"a": NaN}', "NaN", id="NaN"),
        pytest.param(b'{"a": -Infinity}', "-Infinity", id="minus infinity"),
        pytest.param(b'{"a": 1, "b": {"c": 1, "c": 2}}', "'c' twice", id="a member twice"),
        pytest.param(b'{"a": "\xff"}', "not UTF-8: byte 8", id="not UTF-8"),
    ],
)
def test_invalid_json_is_a_bad_request_with_its_position(body, words):
    with pytest.raises(BadRequest) as raised:
        parse_strict_json(body)

    assert raised.value.status == 400
    assert words in raised.value.detail


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 200_000], ids=["a little", "a stack's worth"])
@pytest.mark.parametrize(("open_", "close"), [("[", "]"), ('{"a":', "}")], ids=["lists", "objects"])
def test_deep_nesting_is_a_bad_request(depth, open_, close):
    body = open_ * depth + "1" + close * depth

    with pytest.raises(BadRequest, match="nests deeper"):
        parse_strict_json(body.encode())


def test_nesting_up_to_the_limit_is_read():
    body = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH

    assert parse_strict_json(body)


def test_integers_of_any_length_are_read_and_are_too_big_for_every_field():
    huge = "9" * 10_000

    assert parse_strict_json(huge.encode()) == math.inf
    with pytest.raises(Invalid) as raised:
        load(
            ScriptSchema(),
            parse_strict_json(f'{{"scenes": [{{"duration": {huge}}}, {{"duration": 1e999}}]}}'.encode()),
        )
    assert [where for where, _ in raised.value.args[1]] == ["#/scenes/0/duration", "#/scenes/1/duration"]


def test_pointers_are_escaped_and_bounded():
    assert json_pointer("#/a", "b/c~d", 3) == "#/a/b~1c~0d/3"
    assert json_pointer("#", "\ud800") == "#/\\ud800"
    assert len(json_pointer("#", "x" * 100_000)) < 300


def test_errors_are_in_the_order_of_the_document():
    error = ValidationError({"scenes": {10: ["b"], 9: {"id": ["a"]}}, "_schema": ["whole"]})

    assert as_invalid(error, "#/script").args[1] == (
        ("#/script", "whole"),
        ("#/script/scenes/9/id", "a"),
        ("#/script/scenes/10", "b"),
    )


def test_a_member_named_like_marshmallow_s_own_key_is_unknown():
    with pytest.raises(Invalid) as raised:
        load(ScriptSchema(), {"scenes": [{}], "_schema": 1})

    assert raised.value.args[1] == (("#/_schema", "Unknown field."),)


def test_the_list_of_errors_is_bounded():
    document = {"scenes": [{f"unknown-{number}": 1 for number in range(10)} for _ in range(300)]}

    with pytest.raises(Invalid) as raised:
        load(ScriptSchema(), document)

    assert len(raised.value.args[1]) == MAX_ERRORS
    assert "More than 1000 values are wrong" in raised.value.detail


def test_an_object_of_a_thousand_unknown_members_is_wrong_as_a_whole():
    document = {"scenes": [{}], **{f"unknown-{number}": 1 for number in range(1000)}}

    with pytest.raises(Invalid) as raised:
        load(ScriptSchema(), document)

    assert raised.value.args[1] == (("#", "Has more than 1000 members."),)


def test_a_body_with_too_many_values_is_refused():
    with pytest.raises(BadRequest, match="more than 200000 values"):
        parse_strict_json(b"[" + b"0," * 200_001 + b"0]")


def test_the_problem_lists_pointer_and_detail():
    with pytest.raises(Invalid) as raised:
        load(ScriptSchema(), {"scenes": []}, at="#/script")

    assert raised.value.problem()["errors"] == [
        {"pointer": "#/script/scenes", "detail": "Must have 1 to 500 items."}
    ]
