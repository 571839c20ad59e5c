"""A clip has the colours of the picture that it was made of, whatever its file says, or leaves open, about them."""

from __future__ import annotations

import numpy as np
import pytest

from shared.script.values import Output, Visual
from tests.integration.video.rendering import make, show

pytestmark = pytest.mark.services

FINE = Output(resolution="360p", fps=25, quality="high")
TOLERANCE = 12  # of 255
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "4")
X265 = ("-c:v", "libx265", "-preset", "ultrafast")
PATCHES = ("d02020", "20b040", "3040d0", "e0c040", "808080")
# The same in DCI P3 (SMPTE RP 431-2) by the curve of BT.709, its white adapted by Bradford's matrix.
DCI_PATCHES = ("c23029", "44ad4d", "3341c8", "dcc155", "808080")


def patches(size: str, colors: tuple[str, ...] = PATCHES) -> tuple[str, ...]:
    """Return the arguments for a picture of five stripes."""
    inputs = [f"color=c=0x{color}:s={size}:r=25:d=0.4,format=gbrp[{at}]" for at, color in enumerate(colors)]
    labels = "".join(f"[{at}]" for at in range(len(PATCHES)))
    return ("-f", "lavfi", "-i", ";".join([*inputs, f"{labels}hstack=inputs={len(PATCHES)}"]))


def assert_patches(video, shown, tolerance=TOLERANCE):
    """Compare the stripes, of which so many pixels are shown in the middle of the frame."""
    frame = video.frames(rgb=True)[3].astype(int)
    height, width = frame.shape[:2]
    for at, color in enumerate(PATCHES):
        x = round((width - shown) / 2 + shown * (at + 0.5) / len(PATCHES))
        found = frame[height // 2 - 8 : height // 2 + 8, x - 8 : x + 8].reshape(-1, 3).mean(axis=0)
        wanted = np.array([int(color[i : i + 2], 16) for i in (0, 2, 4)])
        assert np.abs(found - wanted).max() <= tolerance, (color, found)


def from_srgb(matrix: str, primaries: str = "bt709", pix_fmt: str = "yuv444p") -> str:
    convert = f"zscale=matrixin=gbr:transferin=bt709:primariesin=bt709:rangein=full:matrix={matrix}"
    return f"{convert}:primaries={primaries}:transfer=bt709:range=limited,format={pix_fmt},setparams=color_trc=unknown"


def tagged(matrix: str, primaries: str) -> str:
    return f",setparams=colorspace={matrix}:color_primaries={primaries}:color_trc=bt709:range=tv"


UNTAGGED = ",setparams=colorspace=unknown:color_primaries=unknown:color_trc=unknown"


@pytest.mark.parametrize(
    ("size", "filters"),
    [
        pytest.param("256x720", from_srgb("709") + UNTAGGED, id="untagged 720p is BT.709"),
        pytest.param("144x1280", from_srgb("709") + UNTAGGED, id="untagged and upright"),
        pytest.param("144x576", from_srgb("170m") + UNTAGGED, id="untagged PAL is BT.601"),
        pytest.param("128x480", from_srgb("170m") + UNTAGGED, id="untagged NTSC is BT.601"),
        pytest.param("256x720", from_srgb("170m") + tagged("smpte170m", "bt709"), id="HD that says BT.601"),
        pytest.param("128x480", from_srgb("709") + tagged("bt709", "bt709"), id="SD that says BT.709"),
        pytest.param("256x720", from_srgb("ycgco") + tagged("ycgco", "bt709"), id="YCgCo"),
        pytest.param("256x720", from_srgb("2020_ncl", "2020") + tagged("bt2020nc", "bt2020"), id="BT.2020 SDR"),
        pytest.param("256x720", from_srgb("709", "smpte432") + tagged("bt709", "smpte432"), id="Display P3"),
        pytest.param("256x720", from_srgb("170m", "smpte432") + tagged("smpte170m", "smpte432"), id="P3 in BT.601"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("fit", ["cover", "contain"])
def test_a_clip_keeps_the_colours_of_its_picture(tmp_path, size, filters, fit):
    clip = make(tmp_path, "a.mp4", *patches(size), "-vf", filters, *X264)

    video = show(tmp_path, Visual("video", src="upper", fit=fit), {"upper": clip}, output=FINE)

    wide, tall = (int(part) for part in size.split("x"))
    assert_patches(video, 640 if fit == "cover" else min(640, 360 * wide * len(PATCHES) / tall))


def test_dci_p3_is_adapted_to_the_white_of_displays(tmp_path):
    filters = from_srgb("709") + tagged("bt709", "smpte431")  # only its tags say that it is DCI P3
    clip = make(tmp_path, "a.mp4", *patches("256x720", DCI_PATCHES), "-vf", filters, *X264)

    shown = [
        show(tmp_path / str(number), Visual("video", src="upper", fit=fit), {"upper": clip}, output=FINE)
        for number, fit in enumerate(("cover", "contain", "cover", "cover"))
    ]

    for video in shown:
        assert_patches(video, 640)
    first, _, again, once_more = (video.files[0].read_bytes() for video in shown)
    assert first == again == once_more


@pytest.mark.parametrize(
    "tags",
    [
        pytest.param("transfer=smpte2084", id="PQ, the rest open"),
        pytest.param("transfer=arib-std-b67", id="HLG, the rest open"),
        pytest.param("transfer=smpte2084:colormatrix=ictcp:colorprim=bt2020", id="ICtCp"),
        pytest.param("colormatrix=ictcp", id="ICtCp alone"),
        pytest.param("transfer=smpte2084:colormatrix=bt2020c:colorprim=bt2020", id="constant luminance"),
        pytest.param("transfer=smpte2084:colormatrix=bt2020nc:colorprim=smpte432", id="PQ on P3"),
    ],
)
def test_hdr_that_leaves_something_open_is_rendered(tmp_path, tags):
    clip = make(tmp_path, "a.mp4", *patches("128x480"), *X265, "-pix_fmt", "yuv420p10le",
                "-x265-params", f"log-level=none:{tags}")  # fmt: skip

    video = show(tmp_path, Visual("video", src="upper"), {"upper": clip}, output=FINE)

    grey = video.frames(rgb=True)[3][170:190, -60:-20].reshape(-1, 3).mean(axis=0)
    assert 30 < grey.mean() < 250


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        (
            "a.webm",
            ("-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", "-crf", "10", "-b:v", "0", "-auto-alt-ref", "0"),
        ),
        ("b.webm", ("-c:v", "libvpx", "-pix_fmt", "yuva420p", "-b:v", "2M", "-auto-alt-ref", "0")),
        ("a.mov", ("-c:v", "prores_ks", "-profile:v", "4444", "-pix_fmt", "yuva444p10le")),
        ("b.mov", ("-c:v", "qtrle", "-pix_fmt", "argb")),
        ("c.mov", ("-c:v", "png", "-pix_fmt", "rgba")),
    ],
)
@pytest.mark.parametrize("fit", ["cover", "contain", "blur"])
def test_a_transparent_clip_shows_the_themes_ground(tmp_path, name, codec, fit):
    clear = "color=c=red@0.0:s=640x360:r=25:d=0.4,format=rgba,drawbox=x=0:y=0:w=320:h=360:color=0x20b040@1:t=fill:replace=1"
    clip = make(tmp_path, name, "-f", "lavfi", "-i", clear, *codec)

    video = show(tmp_path, Visual("video", src="upper", fit=fit), {"upper": clip}, output=FINE)

    frame = video.frames(rgb=True)[3].astype(int)
    opaque, through = frame[180, 160], frame[180, 480]
    assert np.abs(opaque - [0x20, 0xB0, 0x40]).max() <= TOLERANCE
    assert through.max() < 80  # the bars of the theme are dark, and neither red nor the codec's filling
    assert np.ptp(through) < 40
