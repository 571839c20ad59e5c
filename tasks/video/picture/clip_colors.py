"""What a clip's colours mean, also where its file does not tell, and the filters that turn them into BT.709. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ffmpeg

if TYPE_CHECKING:
    from collections.abc import Mapping

UNSPECIFIED = "unspecified"
HDR_TRANSFERS = ("smpte2084", "arib-std-b67")
HD_HEIGHT = 576  # pixels: what is taller, or wider than SD_WIDTH, is HD (players take the same limits)
SD_WIDTH = 1024  # pixels
# Matrices of which `scale` takes no frame, not even to change its size; zscale (zimg) does.
ZIMG_MATRICES = ("ycgco", "ictcp")
# Neither library converts these; what they are closest to is off by a few percent where colours are saturated.
CLOSEST_MATRICES = {"bt2020c": "bt2020nc", "chroma-derived-nc": "bt2020nc", "chroma-derived-c": "bt2020nc"}


@dataclass(frozen=True, slots=True)
class ClipColors:
    """Colour properties by ffmpeg's names. None: the facts are from before they were read, and the file decides."""

    matrix: str | None = None
    primaries: str | None = None
    hdr: bool = False
    alpha: bool = False

    @property
    def has_other_primaries(self) -> bool:
        """Whether the file names primaries that are not those of BT.709 and sRGB."""
        return self.primaries not in (None, UNSPECIFIED, "bt709")


def colors_from_facts(media: Mapping[str, Any]) -> ClipColors:
    """Return what a file's facts say of its colours, with the usual meaning of what they leave open.

    HDR that names only its transfer is BT.2020 (ITU-R BT.2100). Otherwise HD is BT.709, and SD is BT.601.
    """
    matrix, primaries = media.get("matrix"), media.get("primaries")
    hdr = media.get("transfer") in HDR_TRANSFERS or matrix == "ictcp"
    if matrix == UNSPECIFIED:
        matrix = "bt2020nc" if hdr else "bt709" if _is_hd(media) else "smpte170m"
    matrix = CLOSEST_MATRICES.get(matrix, matrix) if matrix else matrix
    if primaries == UNSPECIFIED and hdr:
        primaries = "bt2020"
    return ClipColors(matrix, primaries, hdr=hdr, alpha=bool(media.get("alpha")))


def _is_hd(media: Mapping[str, Any]) -> bool:
    # Whichever way the clip is turned: 1080x1920 of a phone is HD as well.
    shorter, longer = sorted((media.get("width") or 0, media.get("height") or 0))
    return shorter > HD_HEIGHT or longer > SD_WIDTH


def tag_colors(source: Any, clip: ClipColors, transfer: str | None) -> Any:
    """Return the frames with the properties that hold for them: a filter would take BT.601 for what is not tagged."""
    tags = {"colorspace": clip.matrix, "color_primaries": clip.primaries}
    if clip.hdr and transfer not in HDR_TRANSFERS:
        tags["color_trc"] = "smpte2084"  # ICtCp has no other but HLG, which would be named
    elif not clip.hdr and (clip.has_other_primaries or clip.matrix in ZIMG_MATRICES):
        # All SDR transfers are shown by the same display curve; zimg would convert one into another.
        tags["color_trc"] = "bt709"
        tags["color_primaries"] = "bt709" if clip.primaries == UNSPECIFIED else clip.primaries
    known = {name: value for name, value in tags.items() if value not in (None, UNSPECIFIED, "gbr")}
    source = source.filter("setparams", **known) if known else source
    if clip.matrix in ZIMG_MATRICES:
        source = source.filter("zscale", matrix="bt2020nc" if clip.hdr else "bt709")
    return source


def lay_on_ground(source: Any, clip: ClipColors, ground: str) -> Any:
    """Return the frames without transparency: over a ground (`#rrggbb`) where there is some."""
    if not clip.alpha:
        return source
    # In RGB, since `drawbox` and `overlay` mix YUV of one matrix with a colour computed by another.
    parts = source.filter("format", "rgba").filter_multi_output("split", 2)
    box = parts[0].filter("drawbox", color=f"0x{ground[1:]}", t="fill", replace=1)
    return ffmpeg.overlay(box, parts[1], format="rgb").filter("format", "rgb24")


def convert_colors(source: Any, clip: ClipColors) -> Any:
    """Return BT.709 in limited range and 8 bits; what is brighter than a screen is mapped into it."""
    if clip.hdr:
        source = (
            source.filter("zscale", transfer="linear", npl=203)
            .filter("format", "gbrpf32le")
            .filter("zscale", primaries="bt709")
            .filter("tonemap", "mobius", desat=0)
            .filter("zscale", transfer="bt709", matrix="bt709", range="limited")
        )
    elif clip.has_other_primaries and not clip.alpha:
        source = source.filter("zscale", primaries="bt709", transfer="bt709", matrix="bt709", range="limited")
    else:
        source = source.filter("scale", out_color_matrix="bt709", out_range="tv")
    return source.filter("format", "yuv420p").filter("setparams", range="tv", color_primaries="bt709",
                                                     color_trc="bt709", colorspace="bt709")  # fmt: skip
