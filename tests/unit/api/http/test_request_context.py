"""Ids and traces of requests."""

from __future__ import annotations

import pytest
from flask import Flask

from api.http.request_context import canonical_json, request_id, trace_id

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@pytest.fixture(scope="module")
def app() -> Flask:
    return Flask("test")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(f"00-{TRACE}-{SPAN}-01", TRACE, id="whole"),
        pytest.param(f" 00-{TRACE}-{SPAN}-00 ", TRACE, id="spaces around"),
        pytest.param(f"01-{TRACE}-{SPAN}-00-more", TRACE, id="a later version"),
        pytest.param(f"ff-{TRACE}-{SPAN}-01", None, id="forbidden version"),
        pytest.param(f"00-{'0' * 32}-{SPAN}-01", None, id="no trace"),
        pytest.param(f"00-{TRACE}-{'0' * 16}-01", None, id="no span"),
        pytest.param(f"00-{TRACE.upper()}-{SPAN}-01", None, id="capitals"),
        pytest.param(f"00-{TRACE}", None, id="half"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_a_traceparent_is_parsed_by_its_standard(app: Flask, header: str, expected: str | None) -> None:
    with app.test_request_context(headers={"traceparent": header}):
        assert trace_id() == expected


def test_a_request_keeps_its_id(app: Flask) -> None:
    with app.test_request_context(headers={"X-Request-ID": "mine"}):
        assert request_id() == request_id() == "mine"
    with app.test_request_context():
        assert request_id() == request_id() != "mine"


def test_equal_documents_have_one_canonical_form() -> None:
    assert canonical_json({"b": [1, 2], "a": "é"}) == canonical_json({"a": "\u00e9", "b": [1, 2]})
    assert canonical_json({"a": [1, 2]}) != canonical_json({"a": [2, 1]})
    assert canonical_json({"a": "\ud800"})
