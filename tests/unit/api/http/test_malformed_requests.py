"""The answer to what is no request."""

from __future__ import annotations

import json
import socket

from api.http.malformed_requests import write_error


def test_a_malformed_request_gets_a_problem_that_echoes_nothing() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        write_error(ours, 400, "Bad Request", "Invalid HTTP Version: '<script>'")
        ours.shutdown(socket.SHUT_WR)
        head, _, body = theirs.makefile("rb").read().partition(b"\r\n\r\n")

    document = json.loads(body)
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert f"X-Request-ID: {document['request_id']}".encode() in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"Server-Timing: total;dur=" in head
    assert b"X-Process-Time: " in head
    assert document["type"] == "/problems/bad-request"
    assert "script" not in body.decode()
