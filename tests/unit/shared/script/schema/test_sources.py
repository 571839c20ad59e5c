"""The sources and webhook URLs that a client may name."""

from __future__ import annotations

import pytest
from marshmallow import ValidationError

from shared.script.schema.sources import SourceField, WebhookUrlField, asset_id

ID = "6f1c0a52-9d0e-4b1e-8a52-1f0c2d3e4f50"


@pytest.mark.parametrize(
    "src",
    [
        f"asset:{ID}",
        "https://example.org/a.jpg",
        "https://example.org:8443/a%20b.jpg?x=1&y=%2F#t",
        "https://192.0.2.1/a",
        "https://[2001:db8::1]/a",
    ],
)
def test_assets_and_https_urls_are_accepted_unchanged(src):
    assert SourceField().check(src) == src


def test_an_assets_id_has_one_spelling():
    assert SourceField().check(f"ASSET:{ID.upper()}") == f"asset:{ID}"
    assert asset_id(f"asset:{ID}") == ID
    assert asset_id("https://example.org/a") is None


@pytest.mark.parametrize(
    "src",
    [
        "http://example.org/a.jpg",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "concat:a|b",
        "ftp://example.org/a",
        "//example.org/a",
        "/etc/passwd",
        "a.jpg",
        "-f.mp4",
        "asset:../../etc/passwd",
        "asset:1",
        f"asset:{ID}/x",
        "https://",
        "https:///a",
        "https://user@example.org/a",
        "https://user:secret@example.org/a",
        "https://example.org\\@evil.test/a",
        "https://exa mple.org/a",
        "https://example.org/a\n",
        "https://example.org:0/",
        "https://example.org:99999/",
        "https://[::1/a",
        "https://bücher.example/a",
        "javascript:alert(1)",
        "https://example.org/" + "a" * 2048,
        7,
    ],
)
def test_every_other_source_is_refused(src):
    with pytest.raises(ValidationError):
        SourceField().check(src)


@pytest.mark.parametrize(
    "url", ["https://example.org/hook", "http://127.0.0.1:9000/x", "http://[::1]/", "http://localhost/"]
)
def test_a_webhook_is_https_or_loopback(url):
    assert WebhookUrlField().check(url) == url


@pytest.mark.parametrize(
    "url", ["http://example.org/", "http://10.0.0.1/", "asset:1", "https://a:b@example.org/", "x"]
)
def test_every_other_webhook_url_is_refused(url):
    with pytest.raises(ValidationError):
        WebhookUrlField().check(url)


@pytest.mark.parametrize("url", ["https://", "/hook", "example.org"])
def test_the_error_of_a_webhook_url_does_not_mention_assets(url):
    with pytest.raises(ValidationError, match=r"Must be an https URL\."):
        WebhookUrlField().check(url)
