"""Files as cameras, phones, browsers and recorders write them are recognised and can be decoded."""

from __future__ import annotations

import wave

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from shared.errors import UnsupportedMedia
from shared.media.probing import probe
from tasks.video.ffmpeg_runner import FfmpegRunner
from tasks.video.picture.images import ImageWorkspace, load_image
from tasks.video.sound.soundtrack import decode_tracks
from tasks.video.sound.tracks import Take, Track

pytestmark = pytest.mark.services


def decoded(path, folder):
    """Decode a sound as the mix does; return its seconds and its loudest sample on each side."""
    facts = probe(path)
    take = Take(path, 0.0, facts.duration or 0.0, downmix=tuple(facts.downmix_filters))
    (track,) = decode_tracks([Track(path, 0, 1, take=take)], FfmpegRunner(folder))
    with wave.open(str(track.path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
    return len(samples) / 48_000, np.abs(samples.astype(int)).max(axis=0)


@pytest.mark.parametrize(
    ("name", "codec", "media_type"),
    [
        ("a.webm", ("-c:a", "libopus"), "audio/webm"),
        ("a.mkv", ("-c:a", "aac"), "audio/x-matroska"),
        ("a.mp4", ("-c:a", "aac"), "audio/mp4"),
        ("a.aac", ("-c:a", "aac", "-f", "adts"), "audio/aac"),
        ("a.aiff", (), "audio/aiff"),
        ("a.caf", ("-c:a", "pcm_s16le"), "audio/x-caf"),
        ("b.caf", ("-c:a", "alac"), "audio/x-caf"),
    ],
)
def test_sound_is_accepted_in_every_container(make, tmp_path, name, codec, media_type):
    path = make(name, *codec, sound=True)

    found = probe(path.rename(tmp_path / "x.bin"))

    assert (found.kind, found.media_type, found.has_audio) == ("audio", media_type, True)
    assert found.duration == pytest.approx(1, abs=0.06)
    seconds, peaks = decoded(tmp_path / "x.bin", tmp_path)
    assert seconds == pytest.approx(1, abs=0.06)
    assert peaks.min() > 1000


def id3(length, *, footer=False):
    size = bytes(length >> shift & 0x7F for shift in (21, 14, 7, 0))
    frame = b"PRIV" + bytes((length - 10) >> shift & 0x7F for shift in (21, 14, 7, 0)) + b"\0\0"
    return (
        b"ID3\4\0"
        + (b"\x10" if footer else b"\0")
        + size
        + frame
        + b"x" * (length - 10)
        + (b"3DI\4\0\x10" + size if footer else b"")
    )


@pytest.mark.parametrize(
    "tag", [id3(64), id3(60_000), id3(500, footer=True)], ids=["short", "long", "footer"]
)
@pytest.mark.parametrize(
    ("name", "media_type"), [("a.flac", "audio/flac"), ("a.aac", "audio/aac"), ("a.mp3", "audio/mpeg")]
)
def test_a_sound_behind_a_tag_of_mp3_is_what_it_is(make, tmp_path, name, media_type, tag):
    bare = make(name, *(("-id3v2_version", "0") if name.endswith("mp3") else ()), sound=True)
    path = tmp_path / "tagged"
    path.write_bytes(tag + bare.read_bytes())

    found = probe(path)

    assert found.media_type == media_type
    assert found.duration == pytest.approx(1, abs=0.08)
    assert decoded(path, tmp_path)[0] == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize("junk", [b"\0" * 700, b"\x9c\xe1\x00\x07" * 100], ids=["zeros", "binary"])
def test_an_mp3_behind_junk_is_found(make, tmp_path, junk):
    bare = make("a.mp3", "-id3v2_version", "0", "-write_xing", "0", sound=True)
    path = tmp_path / "junk"
    path.write_bytes(junk + bare.read_bytes())

    assert probe(path).media_type == "audio/mpeg"
    assert decoded(path, tmp_path)[0] == pytest.approx(1, abs=0.08)


def test_an_mp3_after_an_html_page_is_refused(make, tmp_path):
    bare = make("a.mp3", "-id3v2_version", "0", sound=True)
    path = tmp_path / "page"
    path.write_bytes(b"<!doctype html><script>alert(1)</script>" + bare.read_bytes())

    with pytest.raises(UnsupportedMedia, match="none of the accepted types"):
        probe(path)


@pytest.mark.parametrize("channels", [3, 7, 9, 16, 60])
def test_channels_without_a_layout_are_mixed_by_their_number(tmp_path, channels):
    path = tmp_path / "many.wav"
    samples = np.zeros((48_000, channels), "<i2")
    samples[:, 0] = 20_000
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(samples.tobytes())

    seconds, peaks = decoded(path, tmp_path)

    assert seconds == pytest.approx(1, abs=0.01)
    assert peaks[0] > 200


def test_a_clip_with_extra_streams_is_accepted(make, tmp_path):
    (tmp_path / "a.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    path = make("a.mkv", "-i", str(tmp_path / "a.srt"), "-map", "0:v", *("-map", "1:a") * 4, *("-map", "2:s") * 7,
                "-c:v", "libx264", "-c:a", "aac", "-c:s", "srt", picture=True, sound=True)  # fmt: skip

    found = probe(path)

    assert (found.kind, found.has_audio) == ("video", True)


def test_a_clip_with_undecodable_sound_is_accepted_as_silent(make):
    path = make("a.mov", "-c:v", "libx264", "-c:a", "adpcm_ima_qt", picture=True, sound=True)

    found = probe(path)

    assert (found.kind, found.has_audio, found.sound_unreadable) == ("video", False, True)


@pytest.mark.parametrize("size", [(640, 480), (5184, 3888)], ids=["small", "of a camera"])
def test_a_jpeg_with_a_second_picture_inside_is_a_jpeg(tmp_path, size):
    picture = Image.new("RGB", size, (200, 40, 40))
    path = tmp_path / "a.jpg"
    picture.save(path, "MPO", save_all=True, append_images=[Image.new("RGB", (320, 240))])

    found = probe(path)
    loaded = load_image(path, (640, 480), workspace=ImageWorkspace(tmp_path))

    assert (found.kind, found.media_type, found.width, found.height) == ("image", "image/jpeg", *size)
    assert np.abs(loaded[10, 10].astype(int) - (200, 40, 40)).max() < 6


@pytest.mark.parametrize("size", [(640, 480), (4100, 3100)], ids=["small", "large"])
@pytest.mark.parametrize(("name", "media_type"), [("a.heic", "image/heic"), ("a.avif", "image/avif")])
def test_pictures_from_phones_are_accepted(tmp_path, name, media_type, size):
    pillow_heif.register_heif_opener()
    picture = Image.new("RGB", size, (200, 40, 40))
    picture.paste((40, 40, 200), (0, 0, size[0] // 2, size[1]))
    path = tmp_path / name
    picture.save(path, quality=90)

    found = probe(path.rename(tmp_path / "x"))
    loaded = load_image(tmp_path / "x", (640, 480), workspace=ImageWorkspace(tmp_path)).astype(int)

    assert (found.kind, found.media_type, found.width, found.height) == ("image", media_type, *size)
    assert loaded.shape[0] >= 480
    assert loaded.shape[2] == 3
    assert np.abs(loaded[10, 10] - (40, 40, 200)).max() < 16
    assert np.abs(loaded[10, -10] - (200, 40, 40)).max() < 16


def test_the_refusal_of_a_large_picture_names_its_size_the_limit_and_a_remedy(tmp_path):
    path = tmp_path / "a.png"
    Image.new("1", (12_001, 10_001)).save(path)

    with pytest.raises(
        UnsupportedMedia, match=r"Too many pixels: 12001.10001 = 121 MP, at most 120 MP.*ffmpeg"
    ):
        probe(path)
