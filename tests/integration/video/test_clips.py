from __future__ import annotations

import numpy as np
import pytest

from shared.script.values import Output, Scene, Script, Transition, Visual
from tests.integration.video.rendering import SMALL, make, number, read, render_script, show

pytestmark = pytest.mark.services

HDR = (
    "-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none",
    "-color_primaries", "bt2020", "-colorspace", "bt2020nc", "-color_range", "tv",
)  # fmt: skip
FINE = Output(resolution="360p", fps=25, quality="high")
FAST = ("-c:v", "libx264", "-preset", "ultrafast")


def source(text: str) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", text)


def numbers(video):
    return [number(frame, top=True)[0] for frame in video.frames()]


def test_a_clip_begins_where_the_script_says(tmp_path, counting):
    assert numbers(show(tmp_path, Visual("video", src="upper", start=2.2), counting)) == [55, 56, 57, 58, 59]


@pytest.mark.parametrize(
    ("speed", "wanted"), [(2.0, [0, 2, 4, 6, 8]), (0.5, [0, 0, 1, 1, 2]), (4.0, [0, 4, 8, 12, 16])]
)
def test_speed_drops_and_repeats_frames_evenly(tmp_path, counting, speed, wanted):
    found = numbers(show(tmp_path, Visual("video", src="upper", speed=speed), counting))

    assert found == wanted


@pytest.mark.parametrize("memory", [True, False], ids=["in memory", "from the file"])
def test_a_short_clip_loops_at_its_last_frame(tmp_path, counting, memory, monkeypatch):
    if not memory:
        monkeypatch.setattr("tasks.video.picture.clips.MAX_LOOP_BYTES", 0)
    monkeypatch.setattr("tasks.video.plan.segments.MAX_SEGMENT_SECONDS", 0.5)

    video = show(tmp_path, Visual("video", src="upper", start=7.6), counting, duration=1.4)

    assert numbers(video) == [190 + index % 10 for index in range(35)]


@pytest.mark.parametrize("rounds", [2, 3, 3.5])
@pytest.mark.parametrize("fit", ["cover", "contain", "blur"])
def test_a_loop_may_be_of_equal_rounds(tmp_path, counting, rounds, fit, monkeypatch):
    monkeypatch.setattr("tasks.video.picture.clips.MAX_LOOP_BYTES", 0)

    visual = Visual("video", src="upper", start=7.6, fit=fit)
    video = show(tmp_path, visual, counting, duration=round(0.4 * rounds, 1))

    assert numbers(video) == [190 + index % 10 for index in range(round(10 * rounds))]


@pytest.mark.parametrize("memory", [True, False], ids=["in memory", "from the file"])
@pytest.mark.parametrize("when_short", ["loop", "freeze"])
def test_a_clip_may_meet_itself_in_a_transition(tmp_path, counting, memory, when_short, monkeypatch):
    if not memory:
        monkeypatch.setattr("tasks.video.picture.clips.MAX_LOOP_BYTES", 0)
    visual = Visual(
        "video", src="upper", start=7.92, when_short=when_short
    )  # two frames: both scenes show the same
    scenes = (
        Scene("a", visual=visual, duration=1.2),
        Scene("b", visual=visual, duration=1.2, transition=Transition("crossfade", 0.4)),
    )

    video = render_script(tmp_path, Script(scenes), counting)

    shown = [198 + index % 2 if when_short == "loop" else min(198 + index, 199) for index in range(20)]
    assert numbers(video)[:20] == shown


def test_a_short_clip_can_freeze(tmp_path, counting, monkeypatch):
    monkeypatch.setattr("tasks.video.plan.segments.MAX_SEGMENT_SECONDS", 0.5)

    video = show(
        tmp_path, Visual("video", src="upper", start=7.6, when_short="freeze"), counting, duration=1.4
    )

    assert numbers(video) == [min(190 + index, 199) for index in range(35)]


def test_a_short_clip_can_be_slowed_over_its_whole_scene(tmp_path, counting, monkeypatch):
    monkeypatch.setattr("tasks.video.plan.segments.MAX_SEGMENT_SECONDS", 0.5)

    found = numbers(
        show(tmp_path, Visual("video", src="upper", start=7.6, when_short="slow"), counting, duration=1.6)
    )

    assert np.abs(np.subtract(found, [190 + index // 4 for index in range(40)])).max() <= 1
    assert found == sorted(found)


def test_pieces_of_another_rate_join_as_if_they_were_one(tmp_path, counting, monkeypatch):
    clip = Visual("video", src="upper", start=1.0, speed=0.83)
    output = Output(resolution="360p", fps=24)
    whole = numbers(show(tmp_path / "whole", clip, counting, duration=3.0, output=output))
    monkeypatch.setattr("tasks.video.plan.segments.MAX_SEGMENT_SECONDS", 0.3)

    pieces = numbers(show(tmp_path / "pieces", clip, counting, duration=3.0, output=output))

    assert pieces == whole
    assert whole == [int(25 + (index + 0.1) / 24 * 0.83 * 25) for index in range(72)]


def test_a_start_beyond_the_end_shows_the_end(tmp_path, counting):
    found = numbers(show(tmp_path, Visual("video", src="upper", start=90), counting))

    assert set(found) <= {198, 199}


def test_a_clip_that_turns_by_its_tag_is_upright(tmp_path):
    make(tmp_path, "flat.mp4", *source("color=red:s=360x640:r=25:d=1,drawbox=0:0:360:320:blue:fill"), *FAST)
    make(tmp_path, "x.mp4", "-display_rotation", "-90", "-i", str(tmp_path / "flat.mp4"), "-c", "copy")

    frame = show(tmp_path / "made", Visual("video", src="x"), {"x": tmp_path / "x.mp4"}).frames(rgb=True)[0]

    assert frame.shape == (360, 640, 3)
    left, right = frame[180, 40].astype(int), frame[180, 600].astype(int)
    assert sorted([left[0] > 150, right[0] > 150]) == [
        False,
        True,
    ]  # one side is red, the other blue: it lies across


@pytest.mark.parametrize("fit", ["cover", "contain", "blur"])
def test_a_clip_is_never_stretched(tmp_path, fit):
    make(
        tmp_path, "x.mp4", *source("color=black:s=400x300:r=25:d=1,drawbox=150:100:100:100:white:fill"), *FAST
    )

    frame = show(tmp_path / "made", Visual("video", src="x", fit=fit), {"x": tmp_path / "x.mp4"}).frames()[0]

    light = frame > 180
    assert abs(int(light.any(0).sum()) - int(light.any(1).sum())) <= 4
    scale = 640 / 400 if fit == "cover" else 360 / 300
    assert abs(int(light.any(0).sum()) - 100 * scale) <= 4


def test_pixels_that_are_no_squares_become_squares(tmp_path):
    make(
        tmp_path,
        "x.mp4",
        *source("color=black:s=320x360:r=25:d=1,drawbox=140:140:40:80:white:fill,setsar=2"),
        *FAST,
    )

    frame = show(
        tmp_path / "made", Visual("video", src="x", fit="contain"), {"x": tmp_path / "x.mp4"}
    ).frames()[0]

    light = frame > 180
    assert abs(int(light.any(0).sum()) - int(light.any(1).sum())) <= 4


@pytest.mark.parametrize("size", ["641x359", "1x1", "3x777", "1279x721"])
def test_odd_sizes_fill_the_frame(tmp_path, size):
    tagged = "scale=out_color_matrix=bt709:out_range=tv,format=yuv444p,setparams=colorspace=bt709:range=tv"
    make(tmp_path, "x.mkv", *source(f"color=0x20c020:s={size}:r=25:d=1,format=gbrp,{tagged}"), *FAST)

    frame = show(tmp_path / "made", Visual("video", src="x"), {"x": tmp_path / "x.mkv"}).frames(rgb=True)[0]

    assert np.abs(frame[10:-10:40, 10:-10:40].astype(int) - (0x20, 0xC0, 0x20)).max() < 16


def test_a_rate_that_varies_keeps_the_clips_time(tmp_path):
    # Half a second at 50 frames a second, then ten; a white flash at exactly one second.
    graph = "color=black:s=320x180:r=50:d=2,drawbox=0:0:320:180:white:fill:enable='gte(t,1)',select='lt(t,0.5)+not(mod(n,5))'"
    make(tmp_path, "x.mkv", *source(graph), "-fps_mode", "vfr", *FAST)

    frames = show(
        tmp_path / "made", Visual("video", src="x"), {"x": tmp_path / "x.mkv"}, duration=1.6
    ).frames()

    assert len(frames) == 40
    assert abs(next(index for index, frame in enumerate(frames) if frame.mean() > 128) - 25) <= 1


def test_interlaced_clips_show_no_combs(tmp_path):
    graph = "color=black:s=320x180:r=50:d=1,drawbox=x=0:y=0:w=40:h=180:color=white:t=fill,scroll=h=0.02,tinterlace=interleave_top"
    make(
        tmp_path, "x.mkv", *source(f"{graph},setfield=tff"), "-c:v", "libx264", "-preset", "ultrafast",
        "-flags", "+ildct+ilme", "-x264-params", "tff=1",
    )  # fmt: skip
    video = show(
        tmp_path / "made", Visual("video", src="x", fit="contain"), {"x": tmp_path / "x.mkv"},
        output=FINE, duration=0.4,
    )  # fmt: skip

    assert video.segments[0].spec["sources"].popitem()[1]["media"]["interlaced"]
    for frame in video.frames()[2:]:
        rows = frame[60:300].astype(int)
        fine, coarse = np.abs(rows[2:] - rows[:-2]).mean(), np.abs(rows[4:] - rows[:-4]).mean()
        assert fine < 3
        assert coarse < 4


def test_ten_bits_become_eight(tmp_path):
    make(
        tmp_path,
        "x.mkv",
        *source("color=0x6080a0:s=320x180:r=25:d=1,format=yuv420p10le"),
        *HDR[:8],
    )

    frame = show(tmp_path / "made", Visual("video", src="x"), {"x": tmp_path / "x.mkv"}).frames(rgb=True)[0]

    assert np.abs(frame[100, 100].astype(int) - (0x60, 0x80, 0xA0)).max() < 12


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_hdr_is_tone_mapped(tmp_path, transfer):
    ramp = "nullsrc=s=320x180:r=25:d=1,format=yuv420p,geq=lum='16+219*X/W':cb=128:cr=128"
    make(tmp_path, "x.mp4", *source(ramp), *HDR, "-color_trc", transfer)

    video = show(
        tmp_path / "made", Visual("video", src="x"), {"x": tmp_path / "x.mp4"}, output=FINE
    )  # fmt: skip

    row = video.frames()[0][170:190].mean(0)
    smooth = np.convolve(row, np.ones(20) / 20, "valid")
    assert smooth[0] < 30
    assert smooth[-1] > 190
    assert np.diff(smooth[::10]).min() > -2  # brighter stays brighter


def test_a_clip_can_move(tmp_path):
    make(tmp_path, "x.mp4", *source("color=black:s=640x360:r=25:d=2,drawbox=500:60:40:40:white:fill"), *FAST)

    frames = show(
        tmp_path / "made", Visual("video", src="x", motion="zoom_in"), {"x": tmp_path / "x.mp4"}, duration=2.0
    ).frames()

    light = [np.clip(frame.astype(float) - 40, 0, None) for frame in frames]
    across = [(one.sum(0) * np.arange(640)).sum() / one.sum() for one in light]
    wanted = [319.5 + (519.5 - 319.5) * 1.1 ** (index / 49) for index in range(50)]
    assert np.abs(np.subtract(across, wanted)).max() < 1.0
    assert all(np.diff(across) > 0)


def test_sound_without_end_and_other_streams_do_not_matter(tmp_path):
    make(
        tmp_path, "x.mp4", *source("color=0x20c020:s=320x180:r=25:d=0.4"), *source("sine=d=5"), *source("sine=d=1"),
        "-map", "1", "-map", "0", "-map", "2", *FAST, "-c:a", "aac",
    )  # fmt: skip

    video = show(tmp_path / "made", Visual("video", src="x"), {"x": tmp_path / "x.mp4"}, duration=3.0)

    frames = video.frames(rgb=True)
    assert len(frames) == 75
    assert all(abs(int(frame[90, 160, 1]) - 0xC0) < 16 for frame in frames)


@pytest.mark.parametrize(
    ("suffix", "codec"), [("webm", "libvpx-vp9"), ("mov", "prores_ks"), ("mkv", "libx265"), ("mp4", "mpeg4")]
)
def test_common_containers_and_codecs_are_rendered(tmp_path, suffix, codec):
    path = make(
        tmp_path, f"x.{suffix}", *source("color=0x6080a0:s=320x180:r=30:d=0.5"), "-c:v", codec,
        *(("-x265-params", "log-level=none") if codec == "libx265" else ()),
    )  # fmt: skip

    frames = show(tmp_path / "made", Visual("video", src="x"), {"x": path}).frames(rgb=True)

    assert len(frames) == 5
    assert np.abs(frames[2][100, 100].astype(int) - (0x60, 0x80, 0xA0)).max() < 14


def test_a_truncated_clip_shows_what_there_is(tmp_path, counting):
    make(tmp_path, "x.mkv", "-i", str(counting["upper"]), "-c", "copy")
    whole = tmp_path / "x.mkv"

    def spoil(_work):
        whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])

    video = show(tmp_path / "made", Visual("video", src="x"), {"x": whole}, duration=7.0, before=spoil)

    assert len(read(video.files[0])) == 7 * SMALL.fps
