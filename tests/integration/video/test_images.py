from __future__ import annotations

import io
import struct
import time

import numpy as np
import psutil
import pytest
from PIL import Image, ImageCms

from shared.errors import AssetUnreadable
from shared.media.probing import probe
from shared.processes.ffmpeg import Stopped
from shared.script.values import Output, Visual
from tasks.video.picture import images
from tests.integration.video.rendering import show

pytestmark = pytest.mark.services

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 30), (30, 30, 220), (255, 255, 255)


def quarters(size=(640, 360)) -> Image.Image:
    """Red, green over blue, white."""
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    middle = (size[1] // 2, size[0] // 2)
    picture[: middle[0], : middle[1]], picture[: middle[0], middle[1] :] = RED, GREEN
    picture[middle[0] :, : middle[1]], picture[middle[0] :, middle[1] :] = BLUE, WHITE
    return Image.fromarray(picture)


def corners(frame: np.ndarray) -> list[tuple[int, ...]]:
    high, wide = frame.shape[:2]
    places = [(y, x) for y in (high // 4, high * 3 // 4) for x in (wide // 4, wide * 3 // 4)]
    return [tuple(int(part) for part in frame[y - 4 : y + 4, x - 4 : x + 4].mean((0, 1))) for y, x in places]


def assert_colors(frame, wanted, tolerance=14):
    for found, expected in zip(corners(frame), wanted, strict=True):
        assert np.abs(np.subtract(found, expected)).max() <= tolerance, (corners(frame), wanted)


def first(tmp_path, path, fit="cover", motion="none", **fields):
    video = show(tmp_path / "made", Visual("image", src="x", fit=fit, motion=motion), {"x": path}, **fields)
    return video.frames(rgb=True)[0]


@pytest.mark.parametrize("motion", ["none", "zoom_in", "pan_up"])
def test_colours_come_out_as_they_went_in(tmp_path, motion):
    quarters().save(tmp_path / "x.png")

    assert_colors(first(tmp_path, tmp_path / "x.png", motion=motion), [RED, GREEN, BLUE, WHITE], 8)


@pytest.mark.parametrize(
    ("orientation", "wanted"),
    [
        (1, [RED, GREEN, BLUE, WHITE]), (2, [GREEN, RED, WHITE, BLUE]), (3, [WHITE, BLUE, GREEN, RED]),
        (4, [BLUE, WHITE, RED, GREEN]), (5, [RED, BLUE, GREEN, WHITE]), (6, [BLUE, RED, WHITE, GREEN]),
        (7, [WHITE, GREEN, BLUE, RED]), (8, [GREEN, WHITE, RED, BLUE]),
    ],
)  # fmt: skip
def test_a_photo_is_upright_however_the_camera_was_held(tmp_path, orientation, wanted):
    exif = Image.Exif()
    exif[0x0112] = orientation
    quarters((400, 400)).save(tmp_path / "x.jpg", exif=exif, quality=95)

    assert_colors(first(tmp_path, tmp_path / "x.jpg"), wanted)


def tiff(*entries: tuple[int, int, int, bytes], extra: bytes = b"") -> bytes:
    """Return EXIF of entries, each a tag, a type, a count and its four bytes; `extra` begins at their end."""
    table = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3].ljust(4, b"\0") for entry in entries)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + table + bytes(4) + extra


ORIENTATION, SHORT = 0x0112, 3
ODD_EXIF = [
    pytest.param(tiff((ORIENTATION, 2, 2, b"6")), id="a text"),
    pytest.param(tiff((ORIENTATION, 2, 4, b"top")), id="another text"),
    pytest.param(tiff((ORIENTATION, SHORT, 0, b"")), id="no number"),
    pytest.param(tiff((ORIENTATION, 7, 1, b"\6")), id="bytes"),
    pytest.param(tiff((ORIENTATION, SHORT, 1, b"\x09")), id="a number beyond the eight"),
    pytest.param(tiff((ORIENTATION, 4, 1, b"\xff\xff\xff\xff")), id="a huge number"),
    pytest.param(tiff((ORIENTATION, 5, 1, b"\x1a"), extra=struct.pack("<II", 6, 0)), id="six nothings"),
    pytest.param(tiff((ORIENTATION, 5, 1, b"\xff\xff")), id="a place that is not there"),
    pytest.param(b"Exif\0\0II*\0\xff\xff\xff\xff", id="a table that is not there"),
    pytest.param(b"Exif\0\0MM", id="cut off"),
]


@pytest.mark.parametrize("exif", ODD_EXIF)
@pytest.mark.parametrize("large", [False, True], ids=["in memory", "by ffmpeg"])
@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.webp"])
def test_a_photo_whose_orientation_is_no_number_stays_as_it_is(tmp_path, monkeypatch, exif, large, name):
    monkeypatch.setattr(images, "MAX_OWN_PIXELS", 1 if large else images.MAX_OWN_PIXELS)
    quarters((400, 200)).save(tmp_path / name, exif=exif)

    picture = images.load_image(tmp_path / name, (40, 20), workspace=images.ImageWorkspace(tmp_path))

    assert picture.shape[1] == 2 * picture.shape[0]
    assert (np.abs(picture[2, 2].astype(int) - RED) < 30).all()
    facts = probe(tmp_path / name)
    assert (facts.width, facts.height) == (400, 200)


def test_a_photo_is_upright_though_the_rest_of_its_exif_cannot_be_written_again(tmp_path):
    odd = (0x9C9B, SHORT, 1, b"\xff\xff")  # a title for Windows, as a number
    exif = tiff((ORIENTATION, SHORT, 1, b"\6"), odd, (0x8769, 2, 4, b"abc"))
    quarters((400, 200)).save(tmp_path / "x.jpg", exif=exif)

    picture = images.load_image(tmp_path / "x.jpg", (20, 40), workspace=images.ImageWorkspace(tmp_path))

    assert picture.shape[0] == 2 * picture.shape[1]
    assert (np.abs(picture[2, 2].astype(int) - BLUE) < 30).all()


def test_a_portrait_photo_is_cropped_to_cover_and_never_stretched(tmp_path):
    picture = np.full((900, 300, 3), 128, np.uint8)
    picture[400:500, 100:200] = 255  # a square in the middle
    Image.fromarray(picture).save(tmp_path / "x.png")

    bright = first(tmp_path, tmp_path / "x.png")[..., 1] > 200

    assert abs(int(bright.any(0).sum()) - int(bright.any(1).sum())) <= 3


@pytest.mark.parametrize("fit", ["contain", "blur"])
def test_a_portrait_photo_can_be_shown_whole(tmp_path, fit):
    Image.fromarray(np.full((900, 300, 3), (250, 240, 230), np.uint8)).save(tmp_path / "x.png")

    frame = first(tmp_path, tmp_path / "x.png", fit=fit)

    bright = frame[..., 1] > 220
    assert abs(int(bright[180].sum()) - 120) <= 3
    assert bright[2:-2, 320].all()
    side = frame[180, 40].mean()
    assert (20 < side < 200) if fit == "blur" else (side < 40)


def test_transparent_pixels_show_the_themes_ground(tmp_path):
    picture = np.zeros((360, 640, 4), np.uint8)
    picture[:, 320:] = (250, 250, 250, 255)
    Image.fromarray(picture).save(tmp_path / "x.png")

    frame = first(tmp_path, tmp_path / "x.png")

    assert np.abs(frame[100, 100].astype(int) - (0x0B, 0x12, 0x20)).max() < 8
    assert frame[100, 500].min() > 240


@pytest.mark.parametrize("mode", ["CMYK", "L", "P", "LA", "1", "I;16"])
def test_every_pixel_format_is_decoded(tmp_path, mode):
    grey = quarters().convert("L")
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    else:
        picture = (quarters() if mode in ("CMYK", "P") else grey).convert(mode)
    path = tmp_path / ("x.jpg" if mode == "CMYK" else "x.png")
    picture.save(path, **({"quality": 95} if mode == "CMYK" else {}))

    found = corners(first(tmp_path, path))

    colored = mode in ("CMYK", "P")
    wanted = (
        [RED, GREEN, BLUE, WHITE]
        if colored
        else [[int(grey.getpixel(at))] * 3 for at in ((9, 9), (600, 9), (9, 350), (600, 350))]
    )
    if mode == "1":
        assert found[3][0] > 240
    else:
        assert np.abs(np.subtract(found, wanted)).max() <= 24


@pytest.mark.parametrize("motion", ["none", "zoom_out", "pan_left"])
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (5, 701), (641, 359)])
def test_tiny_and_odd_pictures_fill_the_frame(tmp_path, size, motion):
    Image.new("RGB", size, GREEN).save(tmp_path / "x.png")

    assert_colors(first(tmp_path, tmp_path / "x.png", motion=motion), [GREEN] * 4)


@pytest.mark.parametrize("name", ["x.png", "x.jpg"])
def test_a_huge_picture_costs_this_process_little_memory(tmp_path, name):
    quarters((12000, 9000)).save(
        tmp_path / name, **({"quality": 80} if name == "x.jpg" else {"compress_level": 1})
    )
    before = psutil.Process().memory_info().rss
    peak = []

    frame = first(
        tmp_path, tmp_path / name, motion="zoom_in", output=Output(resolution="1080p", fps=25),
        options={"on_progress": lambda _: peak.append(psutil.Process().memory_info().rss)},
    )  # fmt: skip

    assert_colors(frame, [RED, GREEN, BLUE, WHITE])
    assert max(peak, default=before) - before < 90 << 20


def test_a_gif_and_a_webp_are_pictures_too(tmp_path):
    quarters().save(tmp_path / "x.gif")
    quarters().save(tmp_path / "x.webp", quality=95)

    for name in ("x.gif", "x.webp"):
        assert_colors(first(tmp_path / name[2:], tmp_path / name), [RED, GREEN, BLUE, WHITE], 30)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_broken_picture_is_reported_as_unreadable(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)).save(path)

    def spoil(work):
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])

    with pytest.raises(AssetUnreadable):
        show(tmp_path / "made", Visual("image", src="x"), {"x": path}, before=spoil)


def test_a_gradient_has_no_banding(tmp_path):
    frame = show(
        tmp_path,
        Visual("gradient", colors=("#101820", "#182430")),
        output=Output(resolution="360p", fps=25, quality="high"),
    ).frames(rgb=True)[0]

    assert np.abs(frame[4, 4].astype(int) - (0x10, 0x18, 0x20)).max() < 6
    assert np.abs(frame[-4, -4].astype(int) - (0x18, 0x24, 0x30)).max() < 6


def test_a_plain_colour_is_that_colour(tmp_path):
    frame = show(tmp_path, Visual("color", colors=("#1b6ca8",))).frames(rgb=True)[0]

    assert np.abs(frame.reshape(-1, 3).astype(int) - (0x1B, 0x6C, 0xA8)).max() < 5


def test_decoding_a_huge_picture_can_be_stopped(tmp_path):
    Image.new("RGB", (12000, 9000), GREEN).save(tmp_path / "x.png", compress_level=1)
    began = []

    def stop() -> bool:
        began.append(time.monotonic())
        return True

    with pytest.raises(Stopped):
        show(tmp_path / "made", Visual("image", src="x"), {"x": tmp_path / "x.png"}, options={"stop": stop})

    assert time.monotonic() - began[0] < 1.0


def wide_gamut() -> bytes:
    """Return a profile like Adobe RGB: its green lies further out than a screen's."""
    whole = np.array([[0.6097, 0.2053, 0.1492], [0.3111, 0.6257, 0.0632], [0.0195, 0.0609, 0.7446]])

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256)) + b"\0\0"
    tags = [
        (b"desc", b"desc\0\0\0\0\0\0\0\5wide\0" + bytes(79)),
        (b"wtpt", b"XYZ \0\0\0\0" + fixed(0.9642, 1, 0.8249)),
    ]
    tags += [
        (name + b"XYZ", b"XYZ \0\0\0\0" + fixed(*whole[:, at])) for at, name in enumerate((b"r", b"g", b"b"))
    ]
    tags += [(name + b"TRC", curve) for name in (b"r", b"g", b"b")]
    place, table, data = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, body in tags:
        table += name + struct.pack(">II", place + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    head = struct.pack(">I4sI4s4s4s", place + len(data), b"lcms", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + fixed(0.9642, 1, 0.8249)
    return head.ljust(128, b"\0") + table + data


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize("size", [(640, 360), (5000, 2813)], ids=["small", "made smaller by ffmpeg"])
def test_colours_are_what_the_pictures_own_profile_says(tmp_path, mode, size):
    profile = wide_gamut()
    picture = Image.new("RGB", size, (150, 100, 80))
    made = picture.quantize(8) if mode == "P" else picture.convert(mode)
    made.save(tmp_path / "wide.png", icc_profile=profile)

    frame = first(tmp_path, tmp_path / "wide.png")

    plain = Image.new("RGB", (1, 1), (150, 100, 80))
    meant = ImageCms.profileToProfile(
        plain, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    )
    assert meant is not None
    wanted = meant.getpixel((0, 0))
    assert abs(wanted[0] - 150) > 10  # the profile matters
    assert np.abs(frame[180, 320].astype(int) - np.array(wanted)).max() <= 4


def test_a_profile_that_cannot_be_used_changes_nothing(tmp_path):
    Image.new("RGB", (640, 360), (150, 100, 80)).save(tmp_path / "odd.png", icc_profile=b"no profile at all")

    frame = first(tmp_path, tmp_path / "odd.png")

    assert np.abs(frame[180, 320].astype(int) - np.array((150, 100, 80))).max() <= 4
