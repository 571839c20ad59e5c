"""The stills beside a video have the video's own colours."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from shared.processes import ffmpeg
from tasks.video.ffmpeg_runner import FfmpegRunner
from tasks.video.output import joining, sidecars

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.services

RED = (204, 34, 68)


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    """One second of one colour, coded as our segments are: BT.709, limited range."""
    target = tmp_path / "segment.mp4"
    argv = ffmpeg.command(
        "-f", "lavfi", "-i", "color=c=0xcc2244:s=320x180:r=25:d=1,format=rgb24",
        "-vf", "scale=in_range=pc:out_range=tv:out_color_matrix=bt709,format=yuv420p", "-c:v", "libx264",
        "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv",
        f"file:{target}",
    )  # fmt: skip
    ffmpeg.run(argv, cwd=tmp_path)
    return target


def test_poster_and_storyboard_show_the_colour_that_was_asked_for(segment: Path, tmp_path: Path) -> None:
    tools = FfmpegRunner(tmp_path, None, None)
    poster, sheet = tmp_path / "poster.jpg", tmp_path / "sheet.jpg"
    board = sidecars.plan_storyboard(Fraction(1), (320, 180))

    sidecars.draw_stills(
        joining.concat_input([segment], tools), frame=3, poster=poster, storyboard=(board, sheet), tools=tools
    )

    for path in (poster, sheet):
        seen = Image.open(path).convert("RGB").getpixel((20, 20))
        assert isinstance(seen, tuple)
        assert max(abs(have - want) for have, want in zip(seen, RED, strict=True)) <= 8, (path.name, seen)
