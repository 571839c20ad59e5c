"""What servers answer."""

from __future__ import annotations

import json

import pytest

from shared.errors import BadRequest
from tasks.script.model_replies import UnreadableReply, extract_json, parse_reply


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": 3}]}',
        b"\xff",
    ],
)
def test_a_response_without_a_completion_is_unreadable(body):
    with pytest.raises(UnreadableReply):
        parse_reply(body)


def test_a_completion_may_leave_out_content_and_usage():
    found = parse_reply(
        json.dumps({"choices": [{"message": {"content": None}, "finish_reason": "length"}]}).encode()
    )

    assert (found.content, found.tokens, found.truncated, found.refusal) == ("", 0, True, "")


@pytest.mark.parametrize(
    "usage", [None, 3, {"total_tokens": "150"}, {"total_tokens": -5}, {"total_tokens": True}]
)
def test_malformed_usage_counts_as_zero_tokens(usage):
    body = {"choices": [{"message": {"content": "x"}}], "usage": usage}

    assert parse_reply(json.dumps(body).encode()).tokens == 0


@pytest.mark.parametrize("content", ["", "no", "{", '{"a": 1} {"b": 2}', '{"a": NaN}', "{" * 500])
def test_text_without_exactly_one_document_is_refused(content):
    with pytest.raises(BadRequest):
        extract_json(content)
