"""Clips that every test of the picture may read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.processes.ffmpeg import command, run
from tests.integration.video.rendering import HEIGHT, WIDTH, numbered

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def counting(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two clips of 200 frames at 25 a second that count in their upper and in their lower half."""
    folder = tmp_path_factory.mktemp("counting")
    clips = {}
    for name, top in (("upper", True), ("lower", False)):
        frames = (numbered(index, top=top).tobytes() for index in range(200))
        argv = command(
            "-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH}x{HEIGHT}", "-r", "25", "-i", "pipe:0",
            "-vf", "format=yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-bf", "2",
            "-color_range", "tv", f"file:{folder / name}.mp4",
        )  # fmt: skip
        run(argv, cwd=folder, stdin=frames)
        clips[name] = folder / f"{name}.mp4"
    return clips
