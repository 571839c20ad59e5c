from __future__ import annotations

from fractions import Fraction

import pytest

from shared.errors import RenderFailed
from shared.script.values import Scene, Script
from tasks.video.picture import mp4_facts, segment_rendering
from tests.integration.video.rendering import make, render_script

pytestmark = pytest.mark.services


def test_the_facts_of_a_segment_are_read_from_its_index(tmp_path):
    video = render_script(tmp_path, Script((Scene("a", duration=0.6),)))

    assert mp4_facts.read_video_track(video.files[0]) == mp4_facts.VideoTrack(
        640, 360, 15, Fraction(25), complete=True
    )


def test_frames_at_varying_times_have_no_rate(tmp_path):
    graph = "testsrc=s=64x64:r=25:d=1,select=not(mod(n\\,3))+lt(n\\,5)"
    path = make(tmp_path, "x.mp4", "-f", "lavfi", "-i", graph, "-fps_mode", "vfr")

    assert mp4_facts.read_video_track(path).rate is None


@pytest.mark.parametrize("part", [0.0, 0.3, 0.7, 0.99])
def test_a_truncated_segment_is_refused(tmp_path, part):
    path = render_script(tmp_path, Script((Scene("a", duration=0.6),))).files[0]
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])

    with pytest.raises(RenderFailed):
        segment_rendering.verify(path, (640, 360), 25, 15)


@pytest.mark.parametrize(
    ("size", "fps", "frames"), [((640, 360), 25, 14), ((640, 360), 30, 15), ((1280, 720), 25, 15)]
)
def test_a_segment_with_other_frames_than_planned_is_refused(tmp_path, size, fps, frames):
    path = render_script(tmp_path, Script((Scene("a", duration=0.6),))).files[0]

    with pytest.raises(RenderFailed):
        segment_rendering.verify(path, size, fps, frames)


@pytest.mark.parametrize("size", [b"\0\0\0\0", b"\0\0\0\7", b"\0\0\0\1"])
def test_a_box_that_is_shorter_than_its_head_ends_the_reading(tmp_path, size):
    path = tmp_path / "x.mp4"
    path.write_bytes(size + b"free" + bytes(64))

    with pytest.raises(ValueError, match="shorter than its own head"):
        mp4_facts.read_video_track(path)
