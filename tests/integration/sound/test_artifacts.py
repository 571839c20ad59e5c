"""Whole videos joined from real segments: every frame, the sound, the other formats and the sidecars, probed."""

from __future__ import annotations

import json
import re
from fractions import Fraction

import av
import pytest
from PIL import Image

from shared.errors import RenderFailed
from shared.processes import ffmpeg
from shared.processes.ffmpeg import Stopped
from shared.script.timeline import plan_timeline
from shared.script.values import Music, Output, Scene, Script, Transition
from tasks.video.captions.cues import Cue, CueWord
from tasks.video.output.artifacts import assemble, mix_sound
from tasks.video.output.assembly_plan import AssemblyPlan

pytestmark = pytest.mark.services

OUTPUT = Output(resolution="360p", quality="draft")
ALL = Output(
    resolution="360p",
    quality="draft",
    formats=("mp4", "webm", "hls", "gif", "mp3"),
    sidecars=("srt", "vtt", "poster", "storyboard", "script"),
)
CUE = Cue(0.5, 1.5, ("A reef",), (CueWord("A", 0.5, 0.8, 0), CueWord("reef", 0.8, 1.5, 0)))
TAGS = "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709"


@pytest.fixture
def segment(tmp_path):
    """Give a function that encodes a segment whose grey says which frame of the video it is."""

    def encode(first: int, frames: int, fps: int = 30, size: tuple[int, int] = (640, 360)):
        # Grey 16 to 206 in steps of 10 counts frames modulo 20, and survives the encoder.
        pixels = size[0] * size[1]
        raw = (
            bytes([16 + 10 * (each % 20)]) * pixels + b"\x80" * (pixels // 2)
            for each in range(first, first + frames)
        )
        target = tmp_path / f"{first}-{frames}.mp4"
        argv = ffmpeg.command(
            "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{size[0]}x{size[1]}", "-r", str(fps), "-i", "pipe:0",
            "-vf", TAGS, "-c:v", "libx264", "-preset", "veryfast", "-g", str(2 * fps), "-flags", "+cgop", str(target),
        )  # fmt: skip
        ffmpeg.run(argv, cwd=tmp_path, stdin=raw)
        return target

    return encode


def planned(segments, frames, *, output=OUTPUT, title="A reef", cues=(CUE,), music=None, files=None):
    timeline = plan_timeline(Script(scenes=(Scene("a", duration=frames / output.fps),)), {}, output.fps)
    assert timeline.frames == frames
    script = Script(scenes=(Scene("a", duration=frames / output.fps),), title=title, music=music)
    return AssemblyPlan(script, output, timeline, segments, cues, {}, files or {})


def greys(path) -> list[int]:
    with av.open(str(path)) as file:
        return [round((frame.to_ndarray()[180, 320] - 16) / 10) for frame in file.decode(video=0)]


def test_segments_of_any_length_join_to_every_frame_once_in_order(tmp_path, segment):
    lengths = [1, 13, 2, 7, 1, 1, 3, 60, 5]
    firsts = [sum(lengths[:index]) for index in range(len(lengths))]
    segments = [segment(first, length) for first, length in zip(firsts, lengths, strict=True)]

    made = assemble(planned(segments, sum(lengths)), work=tmp_path)

    video = made[0]
    assert (video.name, video.media_type, video.width, video.height) == ("video.mp4", "video/mp4", 640, 360)
    assert greys(video.path) == [frame % 20 for frame in range(sum(lengths))]
    with av.open(str(video.path)) as file:
        picture, sound = file.streams.video[0], file.streams.audio[0]
        stamps = [packet.pts * picture.time_base for packet in file.demux(picture) if packet.pts is not None]
        assert sorted(stamps) == [Fraction(frame, 30) for frame in range(sum(lengths))]
        assert picture.duration * picture.time_base == Fraction(sum(lengths), 30)
        assert abs(sound.duration * sound.time_base - Fraction(sum(lengths), 30)) < Fraction(1, 30)
        assert (picture.codec_context.color_primaries, picture.codec_context.color_trc) == (1, 1)
        assert file.metadata["title"] == "A reef"
    data = video.path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_every_format_and_sidecar_comes_from_the_same_segments(tmp_path, segment):
    segments = [segment(0, 60), segment(60, 60), segment(120, 30)]

    made = {each.name: each for each in assemble(planned(segments, 150, output=ALL), work=tmp_path)}

    assert list(made) == [
        "video.mp4", "video.webm", "hls.m3u8", "hls_media.m3u8", "hls.mp4", "preview.gif", "audio.mp3",
        "poster.jpg", "storyboard.jpg", "storyboard.vtt", "captions.srt", "captions.vtt", "script.json",
    ]  # fmt: skip
    assert all(each.path.stat().st_size > 0 for each in made.values())
    for name, codecs in (("video.webm", ["vp9", "opus"]), ("hls.m3u8", ["h264", "aac"])):
        with av.open(str(made[name].path)) as file:
            assert [stream.codec_context.name.removeprefix("lib") for stream in file.streams] == codecs
            assert sum(1 for _ in file.decode(video=0)) == 150
    with av.open(str(made["audio.mp3"].path)) as file:
        assert file.duration / 1e6 == pytest.approx(5, abs=0.06)
    with Image.open(made["preview.gif"].path) as gif:
        assert (gif.size, gif.n_frames) == ((480, 270), 50)
    with Image.open(made["poster.jpg"].path) as poster:
        assert poster.size == (640, 360)
    with Image.open(made["storyboard.jpg"].path) as sheet:
        assert sheet.size == (480, 90)
        # The frames at 0, 2 and 4 seconds have these greys, in full range.
        for tile, frame in enumerate((0, 60, 120)):
            assert sheet.convert("L").getpixel((tile * 160 + 80, 45)) == pytest.approx(
                10 * (frame % 20) * 255 / 219, abs=4
            )
    for name in ("video.mp4", "video.webm", "hls.m3u8"):
        with av.open(str(made[name].path)) as file:
            assert file.streams.audio[0].metadata["language"] == "eng"
    assert "00:00:00,500 --> 00:00:01,500\nA reef" in made["captions.srt"].path.read_text()
    assert json.loads(made["script.json"].path.read_text())["scenes"][0]["id"] == "a"


def test_the_playlist_names_its_own_file_alone_and_its_fragments_start_at_key_frames(tmp_path, segment):
    output = Output(resolution="360p", quality="draft", formats=("hls",), sidecars=())
    segments = [segment(60 * index, 60) for index in range(8)]

    master, playlist, media = assemble(planned(segments, 480, output=output), work=tmp_path)

    said = master.path.read_text().splitlines()
    assert said[-1] == playlist.name
    stated = dict(re.findall(r'([A-Z-]+)=("[^"]+"|[^,]+)', said[-2]))
    assert (stated["RESOLUTION"], stated["FRAME-RATE"]) == ("640x360", "30.000")
    assert re.fullmatch(r'"avc1\.6400[0-9a-f]{2},mp4a\.40\.2"', stated["CODECS"])
    assert 0 < int(stated["AVERAGE-BANDWIDTH"]) <= int(stated["BANDWIDTH"])
    assert int(stated["AVERAGE-BANDWIDTH"]) == pytest.approx(media.path.stat().st_size * 8 / 16, rel=0.15)
    lines = playlist.path.read_text().splitlines()
    assert {line for line in lines if line and not line.startswith("#")} == {media.name}
    lengths = [float(line.split(":")[1].rstrip(",")) for line in lines if line.startswith("#EXTINF")]
    assert lengths == [6, 6, 4]
    assert "#EXT-X-ENDLIST" in lines


def test_an_output_of_sound_alone_needs_no_picture(tmp_path):
    output = Output(resolution="360p", formats=("mp3",), sidecars=("srt",))

    made = assemble(planned((), 60, output=output), work=tmp_path)

    assert [each.name for each in made] == ["audio.mp3", "captions.srt"]


def test_a_sound_that_is_mixed_already_is_used_as_it_is(tmp_path, segment):
    whole = planned([segment(0, 30)], 30)
    mixed = mix_sound(whole, work=tmp_path)
    before = mixed["aac"].stat().st_mtime_ns

    assemble(whole, work=tmp_path, mixed=mixed)

    assert mixed["aac"].stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda parts: parts[:-1], id="a segment is missing"),
        pytest.param(lambda parts: [*parts, parts[0]], id="a segment is there twice"),
    ],
)
def test_a_video_with_other_frames_than_planned_is_refused(tmp_path, segment, spoil):
    segments = [segment(0, 20), segment(20, 10)]

    with pytest.raises(RenderFailed):
        assemble(planned(spoil(segments), 30), work=tmp_path)


def test_a_segment_of_another_size_is_refused(tmp_path, segment):
    with pytest.raises(RenderFailed):
        assemble(planned([segment(0, 30, size=(320, 180))], 30), work=tmp_path)


def test_a_segment_that_is_broken_is_refused(tmp_path, segment):
    path = segment(0, 30)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(RenderFailed):
        assemble(planned([path], 30), work=tmp_path)


def test_a_title_of_any_characters_stays_metadata(tmp_path, segment):
    title = "-vf x=y; 'q' \"d\" [0:v] %{e}\n\\ 🐠"

    made = assemble(planned([segment(0, 30)], 30, title=title), work=tmp_path)

    with av.open(str(made[0].path)) as file:
        assert file.metadata["title"] == title.replace("\n", " ")


@pytest.mark.parametrize("fps", [24, 25, 50, 60])
def test_other_frame_rates_join_as_exactly(tmp_path, segment, fps):
    output = Output(resolution="360p", fps=fps, quality="draft")
    segments = [segment(0, 7, fps), segment(7, 1, fps), segment(8, fps - 8, fps)]

    made = assemble(planned(segments, fps, output=output), work=tmp_path)

    assert greys(made[0].path) == [frame % 20 for frame in range(fps)]
    assert made[0].duration == 1


def test_five_hundred_scenes_of_a_fifth_of_a_second_are_joined(tmp_path, segment):
    piece = segment(0, 6)
    scenes = tuple(Scene(f"s{index}", duration=0.2, transition=Transition()) for index in range(500))
    timeline = plan_timeline(Script(scenes=scenes), {}, 30)
    whole = AssemblyPlan(Script(scenes=scenes), OUTPUT, timeline, [piece] * 500)

    made = assemble(whole, work=tmp_path)

    assert made[0].duration == 100
    with av.open(str(made[0].path)) as file:
        assert sum(1 for packet in file.demux(video=0) if packet.pts is not None) == 3000


def test_progress_goes_up_to_one_and_stopping_stops(tmp_path, segment, make):
    song = make("song.wav", "-f", "lavfi", "-i", "sine=d=5")
    whole = planned([segment(0, 90)], 90, music=Music("song"), files={"song": song})
    told: list[float] = []

    assemble(whole, work=tmp_path, on_progress=told.append)

    assert told == sorted(told)
    assert told[-1] == 1
    with pytest.raises(Stopped):
        assemble(whole, work=tmp_path, stop=lambda: True)
