"""What the headers of tus say."""

from __future__ import annotations

import base64
import hashlib

import pytest
from werkzeug.datastructures import Headers

from api.assets import tus_headers
from shared.errors import BadRequest, TooLarge

MOST = 1000


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        pytest.param({"Upload-Length": "0"}, 0, id="nothing"),
        pytest.param({"Upload-Length": "1000"}, 1000, id="most"),
        pytest.param({"upload-length": "007"}, 7, id="zeros"),
        pytest.param({"Upload-Defer-Length": "1"}, None, id="later"),
    ],
)
def test_a_length_is_stated_or_deferred(headers: dict[str, str], length: int | None) -> None:
    assert tus_headers.parse_length(Headers(headers), MOST) == length


@pytest.mark.parametrize("value", ["", "-1", "+1", "1.0", "1e3", "0x1", " 1", "1, 1", "\u0661", "9" * 40])
def test_a_number_consists_of_digits(value: str) -> None:
    with pytest.raises(BadRequest):
        tus_headers.parse_number(Headers({"Upload-Offset": value}), "Upload-Offset")


@pytest.mark.parametrize("value", ["0", "2", "", "true"])
def test_only_1_defers_a_length(value: str) -> None:
    with pytest.raises(BadRequest, match="must be 1"):
        tus_headers.parse_length(Headers({"Upload-Defer-Length": value}), MOST)


def test_a_length_has_a_limit() -> None:
    with pytest.raises(TooLarge):
        tus_headers.parse_length(Headers({"Upload-Length": "1001"}), MOST)


@pytest.mark.parametrize(
    ("given", "pairs"),
    [
        pytest.param(None, {}, id="none"),
        pytest.param("", {}, id="empty"),
        pytest.param("filename d29ybGQ=,is_confidential", {"filename": b"world", "is_confidential": b""}, id="two"),
        pytest.param("a YQ==, b Yg==", {"a": b"a", "b": b"b"}, id="a space behind the comma"),
        pytest.param("a ", {"a": b""}, id="an empty value"),
        pytest.param("a /+8=", {"a": b"\xff\xef"}, id="bytes"),
    ],
)  # fmt: skip
def test_metadata_is_parsed_as_pairs(given: str | None, pairs: dict[str, bytes]) -> None:
    assert tus_headers.parse_metadata(given) == pairs


@pytest.mark.parametrize(
    "given",
    [",", "a YQ==,", "a YQ==,a", "a YQ", "a YQ== YQ==", "a _-8=", "a !", "\u00e4 YQ==", "a\tYQ=="],
)
def test_malformed_metadata_is_refused(given: str) -> None:
    with pytest.raises(BadRequest):
        tus_headers.parse_metadata(given)


@pytest.mark.parametrize("algorithm", tus_headers.ALGORITHMS)
def test_a_checksum_names_its_algorithm(algorithm: str) -> None:
    digest = hashlib.new(algorithm, b"data", usedforsecurity=False).digest()

    found = tus_headers.parse_checksum(f"{algorithm} {base64.b64encode(digest).decode()}")

    assert found == tus_headers.Checksum(algorithm, digest)
    taken = found.new_hash()
    taken.update(b"data")
    assert taken.digest() == digest


@pytest.mark.parametrize(
    "given",
    ["", "sha1", "sha1 ", "SHA1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "crc32 AAAAAA==", "sha1 AAAA", "sha1 !!!!"],
)
def test_a_malformed_checksum_is_refused(given: str) -> None:
    with pytest.raises(BadRequest):
        tus_headers.parse_checksum(given)


@pytest.mark.parametrize("version", [None, "", "0.2.2", "1.0.0, 1.0.0", "1"])
def test_another_version_of_tus_is_refused_with_ours_in_a_header(version: str | None) -> None:
    with pytest.raises(tus_headers.UnsupportedTusVersion) as caught:
        tus_headers.check_version(Headers({} if version is None else {"Tus-Resumable": version}))

    assert caught.value.headers == {"Tus-Version": "1.0.0"}
