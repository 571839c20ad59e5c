"""Names the versions of everything that decides a segment's pixels beside its spec."""

from __future__ import annotations

import tempfile
from functools import cache
from importlib import metadata
from pathlib import Path

from shared.processes import ffmpeg as process
from tasks.video.picture.text import fonts

RENDERER = "4"  # raise it whenever the same spec gives other pixels


@cache
def renderer_versions(named: str | None = None) -> dict[str, str]:
    """Return what a segment's key holds beside its spec. `named` is the ffmpeg that is used instead of ours."""
    return {
        "renderer": RENDERER,
        "ffmpeg": _ffmpeg_version(named) if named else metadata.version("imageio-ffmpeg"),
        "opencv": metadata.version("opencv-python-headless"),
        "pillow": metadata.version("pillow"),
        "fonts": fonts.font_versions(),
        "breaks": metadata.version("icu4py"),
    }


def _ffmpeg_version(named: str) -> str:
    """Return the first line of what an ffmpeg says of its version."""
    said = process.run(
        [named, "-version"], cwd=Path(tempfile.gettempdir()), limits=process.Limits(wall=10)
    ).stdout
    return said.split(b"\n")[0].decode(errors="replace")
