"""A whole film: spoken, rendered by the real renderer, joined; seen and heard to agree."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from shared.media.probing import probe
from shared.processes import ffmpeg
from shared.script.timeline import plan_timeline
from shared.script.values import (
    Captions,
    Music,
    Narration,
    Output,
    Scene,
    Script,
    Transition,
    Visual,
)
from tasks import speech
from tasks.speech import Line
from tasks.video.captions import cues as captions
from tasks.video.output.artifacts import assemble
from tasks.video.output.assembly_plan import AssemblyPlan
from tasks.video.picture import segment_rendering
from tasks.video.plan import segments
from tasks.video.plan.cache_keys import renderer_versions
from tasks.video.plan.values import Source

pytestmark = pytest.mark.services

OUTPUT = Output(resolution="360p", fps=25, quality="draft", sidecars=("srt", "vtt", "poster", "storyboard"))
BLACK = Visual("color", colors=("#000000",))


@pytest.fixture
def film(tmp_path, make):
    """Make a film of every kind of segment: still, moving picture, clip, and transitions between them."""
    clip = ("-f", "lavfi", "-i", "testsrc2=s=320x180:r=30:d=1", "-f", "lavfi", "-i", "sine=f=300:d=1")
    files = {
        "clip": make("clip.mp4", *clip, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"),
        "photo": make("photo.png", "-f", "lavfi", "-i", "mandelbrot=s=480x270", "-frames:v", "1"),
        "song": make("song.mp3", "-f", "lavfi", "-i", "anoisesrc=c=pink:d=3:a=0.3"),
    }
    scenes = (
        Scene("a", Narration("Stop. Look at this small reef."), BLACK),
        Scene("b", None, Visual("image", src="photo", motion="zoom_in"), duration=1, transition=Transition("crossfade", 0.4)),
        Scene("c", Narration("It grows."), Visual("video", src="clip", volume=0.2), transition=Transition("slide_left", 0.3)),
        Scene("d", None, BLACK, duration=0.2),
    )  # fmt: skip
    script = Script(scenes, captions=Captions("words"), music=Music("song"), title="Reef")
    told = [scene for scene in scenes if scene.narration]
    spoken = speech.narrate(
        [Line(scene.narration.text, "en", tmp_path / f"{scene.id}.wav") for scene in told]
    )
    said = {scene.id: one for scene, one in zip(told, spoken, strict=True)}
    timeline = plan_timeline(
        script, {key: Fraction(one.samples, one.rate) for key, one in said.items()}, OUTPUT.fps
    )
    cues = captions.make_cues(timeline, script, {key: one.words for key, one in said.items()})
    media = {key: probe(path) for key, path in files.items()}
    sources = {key: Source(key, str(path), media[key]) for key, path in files.items()}
    parts = []
    for segment in segments.plan_segments(
        timeline, script, OUTPUT, sources, cues, account="me", versions=renderer_versions()
    ):
        work = tmp_path / f"work{segment.index}"
        work.mkdir()
        parts.append(tmp_path / f"{segment.index}.mp4")
        segment_rendering.render_segment(segment.spec, parts[-1], work=work, locate=tmp_path.joinpath)
    paths = {key: one.path for key, one in said.items()}
    return AssemblyPlan(script, OUTPUT, timeline, parts, cues, paths, files, media)


def test_what_is_joined_plays_without_an_error_and_each_word_lights_up_while_it_is_heard(
    film, tmp_path, heard
):
    made = {each.name: each.path for each in assemble(film, work=tmp_path)}

    ffmpeg.run(ffmpeg.command("-xerror", "-i", str(made["video.mp4"]), "-f", "null", "-"), cwd=tmp_path)
    with av.open(str(made["video.mp4"])) as file:
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in file.decode(video=0)]
    assert len(frames) == film.timeline.frames
    sound = heard(made["video.mp4"])
    assert len(sound) == film.timeline.seconds * 48_000

    # A lit word is coloured on a screen that is else black, grey and white: its middle wanders to the right.
    words = [word for cue in film.cues for word in cue.words if word.end < film.timeline.scenes[1].start / 25]
    assert [word.text for word in words] == ["Stop.", "Look", "at", "this", "small", "reef."]
    middles = [_lit(frames[round((word.start + word.end) / 2 * 25)]) for word in words]
    assert middles == sorted(middles)
    assert len(set(middles)) == len(words)
    for word in words:
        part = sound[round(word.start * 48_000) : round(word.end * 48_000)]
        assert 20 * np.log10(np.sqrt((part**2).mean())) > -32


def _lit(frame: np.ndarray) -> int:
    """Return the column about which a frame's colour is."""
    colour = frame.max(axis=2) - frame.min(axis=2)
    columns = np.flatnonzero((colour > 60).any(axis=0))
    assert len(columns)
    return int(np.median(columns))
