"""Files are recognised by their bytes, and facts survive JSON."""

from __future__ import annotations

import json

import pytest

from shared.errors import UnsupportedMedia
from shared.media.probing import Media
from shared.media.sniffing import sniff


def ftyp(brand: bytes) -> bytes:
    return b"\0\0\0\x18ftyp" + brand + b"\0\0\2\0isommp42"


def ebml(name: bytes) -> bytes:
    return (
        b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01\x42\x82" + bytes([0x80 | len(name)]) + name + b"\0" * 40
    )


MP3_FRAME = b"\xff\xfb\x90\x00" + bytes(413)  # MPEG 1 layer III, 128 kbit/s, 44.1 kHz: 417 bytes


@pytest.mark.parametrize(
    ("head", "kind", "media_type", "demuxer"),
    [
        pytest.param(b"\xff\xd8\xff\xe0..JFIF", "image", "image/jpeg", "jpeg_pipe", id="jpeg"),
        pytest.param(b"\x89PNG\r\n\x1a\n....IHDR", "image", "image/png", "png_pipe", id="png"),
        pytest.param(b"RIFF\x10\0\0\0WEBPVP8 ", "image", "image/webp", "webp_pipe", id="webp"),
        pytest.param(b"GIF89a\x01\0\x01\0", "image", "image/gif", "gif", id="gif"),
        pytest.param(ftyp(b"isom"), "video", "video/mp4", "mov", id="mp4"),
        pytest.param(ftyp(b"qt  "), "video", "video/quicktime", "mov", id="mov"),
        pytest.param(b"\0\0\0\x08wide\0\0\1\0mdat", "video", "video/quicktime", "mov", id="old mov"),
        pytest.param(ebml(b"webm"), "video", "video/webm", "matroska", id="webm"),
        pytest.param(ebml(b"matroska"), "video", "video/x-matroska", "matroska", id="mkv"),
        pytest.param(b"RIFF\x10\0\0\0WAVEfmt ", "audio", "audio/wav", "wav", id="wav"),
        pytest.param(b"ID3\x04\0\0\0\0\0\0", "audio", "audio/mpeg", "mp3", id="mp3 with tags"),
        pytest.param(MP3_FRAME * 2, "audio", "audio/mpeg", "mp3", id="mp3 without tags"),
        pytest.param(ftyp(b"M4A "), "audio", "audio/mp4", "mov", id="m4a"),
        pytest.param(b"OggS\0\2", "audio", "audio/ogg", "ogg", id="ogg"),
        pytest.param(b"fLaC\0\0\0\x22", "audio", "audio/flac", "flac", id="flac"),
    ],
)
def test_an_accepted_file_is_recognised_by_its_bytes(head, kind, media_type, demuxer):
    assert sniff(head) == (kind, media_type, demuxer, 0)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"#EXTM3U\nfile:///etc/passwd", id="hls playlist"),
        pytest.param(b"ffconcat version 1.0\nfile '/etc/passwd'", id="concat list"),
        pytest.param(b"<?xml version='1.0'?><MPD><BaseURL>file:///</BaseURL></MPD>", id="dash"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///'/></svg>", id="svg"),
        pytest.param(b"[Script Info]\nScriptType: v4.00+", id="ass"),
        pytest.param(b"<!doctype html><script>", id="html"),
        pytest.param(b"push graphic-context\nimage over 0,0 0,0 'https://x'", id="mvg"),
        pytest.param(b"just some words", id="text"),
        pytest.param(b"\0\0\1\0\1\0\x10\x10", id="ico"),
        pytest.param(b"BM\x36\0\0\0", id="bmp"),
        pytest.param(b"%PDF-1.7", id="pdf"),
        pytest.param(ftyp(b"crx "), id="camera raw"),
        pytest.param(b"RIFF\x10\0\0\0AVI LIST", id="avi"),
        pytest.param(ebml(b"evil"), id="other ebml"),
        pytest.param(b"\xff\xf1\x50\x80" * 20, id="adts aac"),
        pytest.param(MP3_FRAME + b"words" * 10, id="one mp3 frame and then text"),
        pytest.param(b"\xff\xfb", id="cut off"),
    ],
)
def test_every_other_file_is_refused(head):
    with pytest.raises(UnsupportedMedia):
        sniff(head)


def test_facts_survive_json_and_keys_of_a_later_version():
    facts = Media("video", "video/mp4", 10, "ab", 16, 9, 2.0, 25.0, has_audio=True, rotation=90)

    kept = json.loads(json.dumps({**facts.to_json(), "new": 1}))

    assert Media.from_json(kept) == facts
