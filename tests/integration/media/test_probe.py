"""Probing returns the facts as displayed, and hostile or broken files cost no more than the limits."""

from __future__ import annotations

import hashlib
import struct
import time
import zlib

import pytest
from PIL import Image

from shared.errors import AssetUnreadable, UnsupportedMedia
from shared.media.probing import probe

pytestmark = pytest.mark.services

X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def test_probing_a_clip_returns_size_duration_frame_rate_and_sound(make):
    path = make("a.mp4", *X264, "-c:a", "aac", picture=True, sound=True)

    found = probe(path)

    assert (found.kind, found.media_type) == ("video", "video/mp4")
    assert (found.width, found.height, found.fps, found.frames) == (320, 240, 25, 25)
    assert found.duration == pytest.approx(1, abs=0.001)
    assert (found.has_audio, found.interlaced, found.rotation, found.pix_fmt) == (True, False, 0, "yuv420p")
    assert found.bytes == path.stat().st_size
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("name", "codecs", "media_type"),
    [
        ("a.mov", X264, "video/quicktime"),
        ("a.webm", ("-c:v", "libvpx", "-deadline", "realtime"), "video/webm"),
        ("a.mkv", (*X264, "-bf", "0"), "video/x-matroska"),
    ],
)
def test_every_clip_format_is_accepted_under_any_file_name(make, name, codecs, media_type):
    path = make(name, *codecs, picture=True)

    found = probe(path.rename(path.with_name("x.jpg")))

    assert (found.kind, found.media_type, found.has_audio) == ("video", media_type, False)
    assert found.duration == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.wav", "audio/wav"), ("a.mp3", "audio/mpeg"), ("a.m4a", "audio/mp4"), ("a.ogg", "audio/ogg"),
        ("a.flac", "audio/flac"),
    ],
)  # fmt: skip
def test_every_sound_format_is_accepted_and_measured(make, name, media_type):
    found = probe(make(name, sound=True))

    assert (found.kind, found.media_type, found.has_audio) == ("audio", media_type, True)
    assert found.duration == pytest.approx(1, abs=0.06)
    assert found.width is None


def test_a_sound_without_a_stated_length_is_read_to_its_end(make):
    path = make("a.mp3", "-write_xing", "0", "-id3v2_version", "0", "-q:a", "9", sound=True)

    assert probe(path).duration == pytest.approx(1, abs=0.06)


def test_a_song_with_cover_art_is_audio_not_video(make, tmp_path):
    Image.new("RGB", (20, 20)).save(tmp_path / "cover.png")
    path = make("a.mp3", "-i", str(tmp_path / "cover.png"), "-map", "0", "-map", "1", sound=True)

    found = probe(path)

    assert (found.kind, found.width) == ("audio", None)


def test_an_mp4_with_only_sound_is_audio(make):
    found = probe(make("a.mp4", "-c:a", "aac", sound=True))

    assert (found.kind, found.media_type) == ("audio", "audio/mp4")


def test_a_rotated_clip_has_its_displayed_size(make):
    straight = make("a.mp4", *X264, picture=True)

    found = probe(make("b.mp4", "-display_rotation", "90", "-i", str(straight), "-c", "copy"))

    assert (found.width, found.height, found.rotation) == (240, 320, 270)


def test_non_square_pixels_count_at_their_displayed_size(make):
    found = probe(make("a.mp4", *X264, "-vf", "setsar=2", picture=True))

    assert (found.width, found.height) == (640, 240)


def test_interlaced_ten_bit_and_hdr_clips_say_so(make):
    fields = ("-vf", "setfield=tff", "-flags", "+ildct+ilme", "-c:v", "mpeg2video")
    hdr = ("-c:v", "libx264", "-pix_fmt", "yuv420p10le", "-x264-params", "transfer=smpte2084")

    assert probe(make("a.mkv", *fields, picture=True)).interlaced
    found = probe(make("b.mp4", *hdr, picture=True))
    assert (found.pix_fmt, found.transfer) == ("yuv420p10le", "smpte2084")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_has_the_size_after_its_exif_orientation(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in ("a.jpg", "a.webp", "a.png"):
        Image.new("RGB", (40, 20)).save(tmp_path / name, exif=exif)

        found = probe(tmp_path / name)

        assert (found.width, found.height) == ((20, 40) if orientation > 4 else (40, 20))


@pytest.mark.parametrize(
    ("mode", "name", "size"),
    [
        ("CMYK", "a.jpg", (30, 20)), ("RGBA", "a.png", (30, 20)), ("P", "a.gif", (30, 20)), ("L", "a.webp", (1, 1)),
        ("I;16", "a.png", (3, 2)),
    ],
)  # fmt: skip
def test_unusual_pictures_are_accepted(tmp_path, mode, name, size):
    Image.new(mode, size).save(tmp_path / name)

    found = probe(tmp_path / name)

    assert (found.kind, found.width, found.height, found.duration) == ("image", *size, None)


@pytest.mark.parametrize(
    ("name", "form"), [("a.jpg", "MPO"), ("a.webp", "WEBP"), ("a.png", "PNG"), ("a.gif", "GIF")]
)
def test_the_first_frame_of_an_animated_picture_is_used(tmp_path, name, form):
    second = Image.new("RGB", (30, 20), "red")
    Image.new("RGB", (30, 20)).save(tmp_path / name, format=form, save_all=True, append_images=[second])

    found = probe(tmp_path / name)

    assert (found.kind, found.width, found.height) == ("image", 30, 20)


def test_a_picture_of_a_hundred_million_pixels_is_probed_in_a_child_process(tmp_path):
    Image.new("L", (12000, 9000), 128).save(tmp_path / "a.jpg")

    started = time.monotonic()
    found = probe(tmp_path / "a.jpg")

    assert (found.width, found.height) == (12000, 9000)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("name", ["a.mp4", "a.jpg", "a.png", "a.webp", "a.gif"])
def test_a_file_that_was_cut_off_is_unreadable(make, tmp_path, name):
    path = make(name, picture=True) if name == "a.mp4" else make(name, "-frames:v", "1", picture=True)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(AssetUnreadable):
        probe(path)


def test_noise_after_a_valid_header_is_unreadable(tmp_path):
    for number, head in enumerate(
        (b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"ID3\x03", b"OggS\0", b"fLaC\0\0\0\x22")
    ):
        path = tmp_path / str(number)
        path.write_bytes(head + bytes(range(256)) * 40)

        with pytest.raises((AssetUnreadable, UnsupportedMedia)):
            probe(path)


def test_a_missing_file_is_unreadable(tmp_path):
    with pytest.raises(AssetUnreadable):
        probe(tmp_path / "nothing")


def test_a_pixel_bomb_is_refused_before_it_is_decoded(tmp_path):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(1_000_000)))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b""))

    started = time.monotonic()
    with pytest.raises(UnsupportedMedia, match="pixels"):
        probe(tmp_path / "a.png")

    assert time.monotonic() - started < 3


def test_a_clip_with_a_day_between_two_frames_is_refused(make):
    path = make("a.mkv", "-vf", "setpts='if(eq(N,24),86400*25,N)'", "-fps_mode", "vfr", *X264, picture=True)

    with pytest.raises(UnsupportedMedia, match="Too long: 86400 s, at most 14400 s"):
        probe(path)


def test_a_file_of_very_many_streams_is_refused(make):
    path = make("a.mkv", *("-map", "0:a") * 65, "-c:a", "pcm_s16le", sound=True)

    with pytest.raises(UnsupportedMedia, match="more than 64 streams"):
        probe(path)


def test_a_codec_that_is_not_on_the_list_is_refused(make):
    path = make("a.mkv", "-c:v", "utvideo", picture=True)

    with pytest.raises(UnsupportedMedia, match="codec utvideo is not accepted"):
        probe(path)


@pytest.mark.parametrize(
    "content",
    [
        "#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "ffconcat version 1.0\nfile '/etc/passwd'\n", "http://127.0.0.1/a.mp4",
        "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", "[Script Info]\n", "",
    ],
)  # fmt: skip
def test_a_file_that_only_names_another_is_refused_under_any_name(tmp_path, content):
    path = tmp_path / "holiday.mp4"
    path.write_text(content)

    with pytest.raises(UnsupportedMedia):
        probe(path)


def referring(film: bytes, entry: bytes) -> bytes:
    """Return an MP4 whose first track says by this entry where its samples lie."""
    at = film.index(b"dref") - 4
    (size,) = struct.unpack(">I", film[at : at + 4])
    longer = 16 + len(entry) - size
    parts = bytearray(film[: at + 16] + entry + film[at + size :])
    parts[at : at + 4] = struct.pack(">I", size + longer)
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        place = film.index(kind) - 4
        parts[place : place + 4] = struct.pack(">I", struct.unpack(">I", film[place : place + 4])[0] + longer)
    return bytes(parts)


def entry(kind: bytes, flags: int, named: bytes) -> bytes:
    return struct.pack(">I4sI", 12 + len(named), kind, flags) + named


@pytest.mark.parametrize(
    ("reference", "is_taken"),
    [
        pytest.param(entry(b"url ", 0, b"file:///etc/passwd\0"), False, id="file"),
        pytest.param(entry(b"url ", 0, b"http://127.0.0.1/a.mp4\0"), False, id="host"),
        pytest.param(entry(b"alis", 0, b"\0\0Macintosh HD"), False, id="alias"),
        pytest.param(entry(b"url ", 1, b""), True, id="itself"),
        pytest.param(entry(b"url ", 0, b"\0"), True, id="nothing"),
        pytest.param(entry(b"alis", 1, b"\0\0Macintosh HD"), True, id="itself by an alias"),
    ],
)
def test_an_mp4_with_samples_in_another_file_is_refused(make, tmp_path, reference, is_taken):
    path = make("a.mov", *X264, picture=True)
    path.write_bytes(referring(path.read_bytes(), reference))

    if is_taken:
        assert probe(path).kind == "video"
    else:
        with pytest.raises(UnsupportedMedia, match="refers to other files"):
            probe(path)


def test_a_reference_movie_is_refused(make):
    path = make("a.mov", *X264, picture=True)
    film = path.read_bytes()
    other = struct.pack(">I4s", 16, b"rmra") + struct.pack(">I4s", 8, b"rmda")
    at = film.index(b"moov")
    (size,) = struct.unpack(">I", film[at - 4 : at])
    path.write_bytes(film[: at - 4] + struct.pack(">I", size + 16) + b"moov" + other + film[at + 4 :])

    with pytest.raises(UnsupportedMedia, match="refers to other files"):
        probe(path)


def test_a_known_hash_is_not_computed_again(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")

    assert probe(tmp_path / "a.png", sha256="known").sha256 == "known"
