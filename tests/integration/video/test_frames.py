from __future__ import annotations

import hashlib

import av
import numpy as np
import pytest

from shared.processes.ffmpeg import command, run
from shared.script.values import Output, Scene, Script, Text, Transition, Visual
from tests.integration.video.rendering import SMALL, number, read, render_script

pytestmark = pytest.mark.services

KINDS = (
    "crossfade", "fade_black", "fade_white", "slide_left", "slide_right", "slide_up", "slide_down",
    "wipe_left", "wipe_right", "circle_open", "zoom",
)  # fmt: skip


def script(kind: str) -> Script:
    """Two clips that count, a transition between them, and a cut back to the first one."""
    return Script(
        (
            Scene("a", visual=Visual("video", src="upper", start=0.4), duration=1.0),
            Scene(
                "b",
                visual=Visual("video", src="lower", start=2.0),
                duration=1.2,
                transition=Transition(kind, 0.4),
            ),
            Scene("c", visual=Visual("video", src="upper", start=5.0), duration=0.6),
        )
    )


def joined(video, folder):
    """Join the segments as assembly does: by copy."""
    listing = folder / "list.txt"
    listing.write_text("".join(f"file 'file:{path}'\n" for path in video.files))
    argv = command("-f", "concat", "-safe", "0", "-i", str(listing), "-c", "copy", str(folder / "joined.mp4"))
    run(argv, cwd=folder)
    return folder / "joined.mp4"


@pytest.mark.parametrize("kind", KINDS)
def test_no_frame_is_lost_or_doubled_at_any_seam(tmp_path, counting, kind):
    video = render_script(tmp_path, script(kind), counting)

    frames = read(joined(video, tmp_path))

    a, b, c = video.timeline.scenes
    expected = {"a": (a, 10, True), "b": (b, 50, False), "c": (c, 125, True)}
    assert len(frames) == video.timeline.frames
    readable = 0
    for index, frame in enumerate(frames):
        for slot, first, top in expected.values():
            whole = slot.start + slot.transition <= index < slot.end - (10 if slot.id == "a" else 0)
            if whole:
                assert number(frame, top=top) == (
                    pytest.approx(first + index - slot.start),
                    pytest.approx(100, abs=15),
                )
                readable += 1
    assert readable == video.timeline.frames - 10


def test_both_scenes_go_on_under_a_crossfade(tmp_path, counting):
    video = render_script(tmp_path, script("crossfade"), counting)

    under = read(video.files[1])

    before = [number(frame, top=True) for frame in under]
    after = [number(frame, top=False) for frame in under]
    assert [found for found, strength in before[:8] if strength > 12] == list(range(25, 33))
    assert [found for found, strength in after[2:] if strength > 12] == list(range(52, 60))
    assert [strength for _, strength in before] == sorted((strength for _, strength in before), reverse=True)


def test_segments_join_to_one_stream_without_encoding_again(tmp_path, counting):
    video = render_script(tmp_path, script("wipe_left"), counting)

    whole = joined(video, tmp_path)

    headers = set()
    for path in video.files:
        with av.open(str(path)) as file:
            headers.add(bytes(file.streams.video[0].codec_context.extradata))
    with av.open(str(whole)) as file:
        stream = file.streams.video[0]
        stamps = [frame.pts for frame in file.decode(stream)]
        assert stream.average_rate == 25
    assert len(headers) == 1
    assert set(np.diff(stamps)) == {stamps[1] - stamps[0]}
    decoded = [hashlib.sha256(frame).digest() for frame in read(whole)]
    assert decoded == [hashlib.sha256(frame).digest() for frame in video.frames()]


def test_what_comes_out_plays_everywhere_and_says_its_colours(tmp_path):
    video = render_script(
        tmp_path, Script((Scene("a", duration=5),)), output=Output(resolution="360p", fps=30)
    )

    with av.open(str(video.files[0])) as file:
        stream = file.streams.video[0]
        context = stream.codec_context
        keys = [
            packet.pts * stream.time_base
            for packet in file.demux(stream)
            if packet.size and packet.is_keyframe
        ]
    assert (context.name, context.profile, context.pix_fmt) == ("h264", "High", "yuv420p")
    assert (context.color_range, context.colorspace) == (1, 1)
    assert (context.color_primaries, context.color_trc) == (1, 1)
    assert [float(key) for key in keys] == [0, 2, 4]


@pytest.mark.parametrize("fps", [24, 25, 30, 50, 60])
def test_the_shortest_scenes_have_every_frame(tmp_path, fps):
    scenes = tuple(
        Scene(f"s{index}", duration=0.2, transition=Transition("crossfade", 0.1)) for index in range(3)
    )

    video = render_script(tmp_path, Script(scenes), output=Output(resolution="360p", fps=fps))

    assert len(read(joined(video, tmp_path))) == video.timeline.frames


def test_the_same_spec_makes_the_same_bytes(tmp_path):
    scene = Scene("a", text=(Text("The same", animation="rise"),), duration=1)

    first = render_script(tmp_path / "one", Script((scene,)))
    second = render_script(tmp_path / "two", Script((scene,)))

    assert first.files[0].read_bytes() == second.files[0].read_bytes()


def test_a_long_scene_is_continuous_over_its_pieces(tmp_path, counting, monkeypatch):
    monkeypatch.setattr("tasks.video.plan.segments.MAX_SEGMENT_SECONDS", 1)
    long = Script((Scene("a", visual=Visual("video", src="upper"), duration=3.4),))

    video = render_script(tmp_path, long, counting)

    assert len(video.segments) == 4
    assert [number(frame, top=True)[0] for frame in video.frames()] == list(range(85))


def test_other_rates_of_a_clip_keep_its_time(tmp_path, counting):
    output = Output(resolution="360p", fps=50)

    video = render_script(tmp_path, script("crossfade"), counting, output=output)

    first = video.frames()[: video.segments[0].frames]
    assert [number(frame, top=True)[0] for frame in first] == [10 + index // 2 for index in range(30)]
    assert SMALL.fps == 25
