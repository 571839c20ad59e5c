"""Resumable uploads that meet a server which refuses, forgets, or keeps other bytes."""

from __future__ import annotations

import hashlib
import io

import pytest

from scenemill import ApiError, IntegrityError, Unreachable
from tests.unit.client.answers import answer

CONTENT = bytes(range(256)) * 4
ASSET = {"asset_id": "a1", "sha256": hashlib.sha256(CONTENT).hexdigest()}
CREATED = (201, {"Location": "/v1/uploads/u1"}, b"{}")
COMPLETE = (204, {"Location": "/v1/assets/a1", "Upload-Offset": str(len(CONTENT))}, b"")


def at(offset):
    return (200, {"Upload-Offset": str(offset)}, b"")


@pytest.fixture(autouse=True)
def pieces(monkeypatch):
    """Send even small files in pieces."""
    monkeypatch.setattr("scenemill.calls.assets.LARGE", 1)
    monkeypatch.setattr("scenemill.core.uploads.FIRST", 100)
    monkeypatch.setattr("scenemill.core.uploads.STREAMED", 600)


def offsets(server):
    return [one["headers"].get("upload-offset") for one in server.requests if one["method"] == "PATCH"]


def test_the_first_bytes_come_with_the_creation(connect, server):
    server.answers = [CREATED, at(100), COMPLETE, answer(200, ASSET)]

    with connect(server.url, "key") as api:
        assert api.assets.upload(CONTENT).id == "a1"

    create, _, append, _ = server.requests
    assert create["headers"]["upload-length"] == "1024"
    assert create["body"] + append["body"] == CONTENT
    assert offsets(server) == ["100"]


def test_only_what_is_missing_is_sent_after_a_failure(connect, server):
    server.answers = [
        CREATED, at(100), answer(502, {"title": "Bad gateway"}), at(700), answer(423, {"title": "Locked"}), at(700),
        COMPLETE, answer(200, ASSET),
    ]  # fmt: skip

    with connect(server.url, "key") as api:
        api.assets.upload(CONTENT)

    assert offsets(server) == ["100", "700", "700"]
    assert server.requests[-2]["body"] == CONTENT[700:]


def test_the_last_answer_may_get_lost(connect, server):
    complete = (200, {"Upload-Offset": "1024", "Location": "/v1/assets/a1"}, b"")
    server.answers = [CREATED, at(100), answer(504, {"title": "Late"}), complete, answer(200, ASSET)]

    with connect(server.url, "key") as api:
        assert api.assets.upload(CONTENT).id == "a1"


def test_an_upload_that_is_gone_is_begun_again_under_another_key(connect, server, tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(CONTENT)
    server.answers = [
        CREATED, answer(410, {"title": "Gone"}), CREATED, at(0), COMPLETE, answer(200, ASSET),
    ]  # fmt: skip

    with connect(server.url, "key") as api:
        api.assets.upload(file)

    first, second = (one["headers"]["idempotency-key"] for one in server.requests if one["method"] == "POST")
    assert first.startswith("file-")
    assert first != second


def test_another_file_in_its_place_is_found(connect, server):
    other = answer(200, ASSET | {"sha256": "0" * 64})
    server.answers = [CREATED, at(0), COMPLETE, other, CREATED, at(0), COMPLETE, other]

    with connect(server.url, "key") as api, pytest.raises(IntegrityError, match="arrived damaged"):
        api.assets.upload(io.BytesIO(CONTENT))


def test_what_is_refused_is_not_sent_again(connect, server):
    server.answers = [
        CREATED,
        at(100),
        answer(415, {"title": "Unsupported media", "code": "unsupported-media"}),
    ]

    with connect(server.url, "key") as api, pytest.raises(ApiError, match="Unsupported media"):
        api.assets.upload(CONTENT)

    assert len(server.requests) == 3


def test_a_server_that_takes_no_byte_is_given_up(connect, server, monkeypatch):
    monkeypatch.setattr("scenemill.core.uploads.PATIENCE", 0.0)
    server.answers = [CREATED, at(100), answer(503, {"title": "Away"})]

    with connect(server.url, "key") as api, pytest.raises(Unreachable, match="could not be uploaded: Away"):
        api.assets.upload(CONTENT)


class Pipe(io.RawIOBase):
    """A stream that can be read once."""

    def __init__(self, content):
        self._content = io.BytesIO(content)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._content.readinto(buffer)


@pytest.mark.parametrize("size", [0, 599, 600, 1024])
def test_a_stream_is_sent_in_pieces_and_tells_its_length_at_the_end(connect, server, size):
    content = CONTENT[:size]
    pieces = [content[start : start + 600] for start in range(0, size + 1, 600)]
    server.answers = [CREATED]
    for piece in pieces[:-1]:
        server.answers.append((204, {"Upload-Offset": str(len(piece))}, b""))
    server.answers += [COMPLETE, answer(200, ASSET | {"sha256": hashlib.sha256(content).hexdigest()})]

    with connect(server.url, "key") as api:
        api.assets.upload(Pipe(content))

    assert server.requests[0]["headers"]["upload-defer-length"] == "1"
    sent = [one for one in server.requests if one["method"] == "PATCH"]
    assert [one["body"] for one in sent] == pieces
    assert [one["headers"].get("upload-length") for one in sent] == [None] * (len(pieces) - 1) + [str(size)]


def test_a_piece_of_a_stream_is_sent_again_from_where_it_broke_off(connect, server):
    server.answers = [
        CREATED, answer(502, {"title": "Bad gateway"}), at(50), (204, {"Upload-Offset": "600"}, b""), COMPLETE,
        answer(200, ASSET),
    ]  # fmt: skip

    with connect(server.url, "key") as api:
        api.assets.upload(Pipe(CONTENT))

    sent = [one["body"] for one in server.requests if one["method"] == "PATCH"]
    assert sent == [CONTENT[:600], CONTENT[50:600], CONTENT[600:]]


def test_a_file_that_is_not_there_is_the_caller_s_mistake(connect, server, tmp_path):
    with connect(server.url, "key") as api, pytest.raises(FileNotFoundError):
        api.assets.upload(str(tmp_path / "none.png"))
