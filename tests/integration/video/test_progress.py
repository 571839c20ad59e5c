from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from shared.processes import ffmpeg
from shared.script.values import Output, Visual
from tests.integration.video.rendering import show

pytestmark = pytest.mark.services

LARGE = Output(resolution="1440p", fps=60, quality="high")


def test_progress_is_reported_before_the_encoder_writes_its_first_frame(tmp_path):
    seen: list[ffmpeg.Progress] = []
    taken = [part for name, value in ffmpeg.INPUT_FRAME_STATS.items() for part in (f"-{name}", value)]

    argv = ffmpeg.command(
        "-re", "-f", "lavfi", "-i", "testsrc=s=64x36:r=25:d=1", "-c:v", "libx264", *taken, "-f", "null", "-"
    )
    ffmpeg.run(argv, cwd=tmp_path, on_progress=seen.append)

    assert [one for one in seen if one.taken > 5 and one.frame == 0]
    assert [one.taken for one in seen] == sorted(one.taken for one in seen)
    assert (seen[-1].taken, seen[-1].frame) == (25, 25)


@pytest.mark.parametrize("motion", ["zoom_in", "none"])
def test_a_large_picture_reports_progress_at_once_and_steadily(tmp_path, motion):
    """The bound is generous: it is not for the encoder to have looked ahead, which takes seconds on a busy machine."""
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (90, 160, 3), np.uint8)).save(
        tmp_path / "x.png"
    )
    told: list[tuple[float, int]] = []

    show(
        tmp_path / "made",
        Visual("image", src="x", motion=motion),
        {"x": tmp_path / "x.png"},
        output=LARGE,
        duration=0.3,
        options={"on_progress": lambda frames: told.append((time.monotonic(), frames))},
    )

    counts = [frames for _, frames in told]
    assert counts == sorted(counts)
    assert counts[-1] == 18
    assert max(later - earlier for (earlier, _), (later, _) in pairwise(told)) < 2
    assert len(set(counts)) > 1
