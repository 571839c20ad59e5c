"""Names the versions of everything that decides a segment's pixels beside its spec."""

from __future__ import annotations

from functools import cache
from importlib import metadata

from tasks.video.picture import fonts

RENDERER = "1"  # raise it whenever the same spec gives other pixels


@cache
def versions() -> dict[str, str]:
    """Return what a segment's key holds beside its spec."""
    return {
        "renderer": RENDERER,
        "ffmpeg": metadata.version("imageio-ffmpeg"),
        "opencv": metadata.version("opencv-python-headless"),
        "pillow": metadata.version("pillow"),
        "fonts": fonts.versions(),
    }
