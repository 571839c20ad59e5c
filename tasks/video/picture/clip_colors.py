"""Interprets a clip's colours, also if its file does not state them, and builds the filters that convert them to BT.709. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ffmpeg

if TYPE_CHECKING:
    from collections.abc import Mapping

UNSPECIFIED = "unspecified"
HDR_TRANSFERS = ("smpte2084", "arib-std-b67")
HD_HEIGHT = 576  # pixels: a taller clip, or one wider than SD_WIDTH, is HD (players use the same limits)
SD_WIDTH = 1024  # pixels
# `scale` refuses frames of these matrices, even to change their size; zscale (zimg) accepts them.
ZIMG_MATRICES = ("ycgco", "ictcp")
# Neither library converts these; the closest matrix is off by a few percent in saturated colours.
CLOSEST_MATRICES = {"bt2020c": "bt2020nc", "chroma-derived-nc": "bt2020nc", "chroma-derived-c": "bt2020nc"}


@dataclass(frozen=True, slots=True)
class ClipColors:
    """Colour properties by ffmpeg's names. None: probed before they were recorded, so that the file's own tags apply."""

    matrix: str | None = None
    primaries: str | None = None
    hdr: bool = False
    alpha: bool = False

    @property
    def has_other_primaries(self) -> bool:
        """Whether the file states primaries other than those of BT.709 and sRGB."""
        return self.primaries not in (None, UNSPECIFIED, "bt709")


def colors_from_facts(media: Mapping[str, Any]) -> ClipColors:
    """Return the colours of a file's facts; an unspecified property gets its usual value.

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
    # In either orientation: a phone's 1080x1920 is HD too.
    shorter, longer = sorted((media.get("width") or 0, media.get("height") or 0))
    return shorter > HD_HEIGHT or longer > SD_WIDTH


def tag_colors(source: Any, clip: ClipColors, transfer: str | None) -> Any:
    """Return the frames tagged with their colours: filters would treat untagged frames as BT.601."""
    tags = {"colorspace": clip.matrix, "color_primaries": clip.primaries}
    if clip.hdr and transfer not in HDR_TRANSFERS:
        tags["color_trc"] = "smpte2084"  # the only other transfer of ICtCp is HLG, which files state
    elif not clip.hdr and (clip.has_other_primaries or clip.matrix in ZIMG_MATRICES):
        # Displays show all SDR transfers by the same curve; zimg would convert between them and shift the brightness.
        tags["color_trc"] = "bt709"
        tags["color_primaries"] = "bt709" if clip.primaries == UNSPECIFIED else clip.primaries
    known = {name: value for name, value in tags.items() if value not in (None, UNSPECIFIED, "gbr")}
    source = source.filter("setparams", **known) if known else source
    if clip.matrix in ZIMG_MATRICES:
        source = source.filter("zscale", matrix="bt2020nc" if clip.hdr else "bt709")
    return source


def lay_on_ground(source: Any, clip: ClipColors, ground: str) -> Any:
    """Return the frames without alpha, laid over a ground colour (`#rrggbb`) if they have any."""
    if not clip.alpha:
        return source
    # In RGB: in YUV, `drawbox` and `overlay` would compute the ground colour with another matrix than the frame's.
    parts = source.filter("format", "rgba").filter_multi_output("split", 2)
    box = parts[0].filter("drawbox", color=f"0x{ground[1:]}", t="fill", replace=1)
    return ffmpeg.overlay(box, parts[1], format="rgb").filter("format", "rgb24")


def convert_colors(source: Any, clip: ClipColors) -> Any:
    """Return BT.709 in limited range and 8 bits; HDR is tone-mapped."""
    if clip.hdr:
        source = (
            source.filter("zscale", transfer="linear", npl=203)
            .filter("format", "gbrpf32le")
            .filter("zscale", primaries="bt709")
            .filter("tonemap", "mobius", desat=0)
            .filter("zscale", transfer="bt709", matrix="bt709", range="limited")
        )
    elif clip.has_other_primaries and not clip.alpha:
        if clip.primaries == "smpte431":
            # zscale does not adapt DCI's white to that of BT.709, and with several threads gave three pictures in 40 runs.
            source = source.filter("colorspace", primaries="bt709", trc="bt709", space="bt709", range="tv")
        else:
            source = source.filter(
                "zscale", primaries="bt709", transfer="bt709", matrix="bt709", range="limited"
            )
    else:
        source = source.filter("scale", out_color_matrix="bt709", out_range="tv")
    return source.filter("format", "yuv420p").filter("setparams", range="tv", color_primaries="bt709",
                                                     color_trc="bt709", colorspace="bt709")  # fmt: skip
