"""The versions in a segment's cache key: everything beside its spec that decides its pixels."""

from __future__ import annotations

import tempfile
from functools import cache
from importlib import metadata
from pathlib import Path

from shared.processes import ffmpeg as process
from tasks.video.picture.text import fonts

RENDERER = "6"  # raise it whenever the same spec gives other pixels, or old segments are joined to new ones


@cache
def renderer_versions(ffmpeg: str | None = None) -> dict[str, str]:
    """Return the versions by part. `ffmpeg` is the path of an ffmpeg that replaces the bundled one."""
    return {
        "renderer": RENDERER,
        "ffmpeg": _ffmpeg_version(ffmpeg) if ffmpeg else metadata.version("imageio-ffmpeg"),
        "opencv": metadata.version("opencv-python-headless"),
        "pillow": metadata.version("pillow"),
        "fonts": fonts.font_versions(),
        "breaks": metadata.version("icu4py"),
    }


def _ffmpeg_version(ffmpeg: str) -> str:
    """Return the first line of `ffmpeg -version`."""
    output = process.run(
        [ffmpeg, "-version"], cwd=Path(tempfile.gettempdir()), limits=process.Limits(wall=10)
    ).stdout
    return output.split(b"\n")[0].decode(errors="replace")
