"""The finished sound, measured: loudness, peaks, places, lengths, seams."""

from __future__ import annotations

import resource
import time
import wave
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from shared.errors import AssetUnreadable
from shared.media.probing import probe
from shared.processes.ffmpeg import Stopped
from shared.script.timeline import plan_timeline
from shared.script.values import Music, Narration, Output, Scene, Script, Transition, Visual
from tasks import speech
from tasks.speech import Line
from tasks.video.captions import cues
from tasks.video.ffmpeg_runner import FfmpegRunner
from tasks.video.output.artifacts import mix_sound
from tasks.video.output.assembly_plan import AssemblyPlan
from tasks.video.sound.mixing import read_samples
from tasks.video.sound.soundtrack import decode_tracks
from tasks.video.sound.tracks import Take, Track

pytestmark = pytest.mark.services

RATE = 48_000
TEXT = "A reef begins with a single larva. It drifts for days, looking for light."
PINK = ("-f", "lavfi", "-i", "anoisesrc=c=pink:d=5:a=0.5:seed=3")
PICTURE = ("-f", "lavfi", "-i", "testsrc=s=64x64:r=30:d=2")
BEEPS = ("-f", "lavfi", "-i", "sine=f=500:d=4")


def laid(scenes, folder, *, files=None, music=None, fps=30, output=None):
    """Speak the scenes' texts and lay out the plan of their video; no picture is needed to hear it."""
    script = Script(scenes=tuple(scenes), music=music, title="A reef")
    said = [scene for scene in scenes if scene.narration and not scene.narration.src]
    spoken = dict(
        zip(
            [scene.id for scene in said],
            speech.narrate([Line(scene.narration.text, "en", folder / f"{scene.id}.wav") for scene in said]),
            strict=True,
        )
    )
    lengths = {key: Fraction(one.samples, RATE) for key, one in spoken.items()}
    timeline = plan_timeline(script, lengths, fps)
    return AssemblyPlan(
        script=script,
        output=output or Output(fps=fps, quality="draft"),
        timeline=timeline,
        segments=(),
        cues=cues.make_cues(timeline, script, {key: one.words for key, one in spoken.items()}),
        speech={key: one.path for key, one in spoken.items()},
        sources=files or {},
        media={key: probe(path) for key, path in (files or {}).items()},
    )


def rms(sound: np.ndarray) -> float:
    return float(20 * np.log10(np.sqrt((sound**2).mean()) + 1e-9))


def clip(**fields) -> Visual:
    return Visual("video", src="clip", **{"volume": 1.0, **fields})


def test_speech_reaches_the_loudness_and_starts_at_its_planned_time(tmp_path, meter, heard):
    scenes = [
        Scene("a", Narration(TEXT)),
        Scene("b", Narration(TEXT), transition=Transition("crossfade", 0.5)),
    ]
    made = laid(scenes, tmp_path)

    path = mix_sound(made, work=tmp_path)["aac"]

    loudness, peak = meter(path)
    assert loudness == pytest.approx(-14, abs=1)
    assert peak <= -1
    sound = heard(path)
    assert len(sound) == made.timeline.seconds * RATE
    for slot in made.timeline.scenes:
        start = float(slot.narration_start)
        with wave.open(str(made.speech[slot.id]), "rb") as file:
            said = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
        # Where what was spoken fits best onto what is heard is where it was planned to be.
        window = sound[round((start - 0.05) * RATE) : round((start + 1.05) * RATE), 0]
        fit = np.correlate(window, said[:RATE], mode="valid")
        assert abs(int(fit.argmax()) - round(0.05 * RATE)) <= 2


def test_words_are_where_the_captions_say(tmp_path, heard):
    made = laid([Scene("a", Narration("Stop. Look. Listen."))], tmp_path)

    sound = heard(mix_sound(made, work=tmp_path)["aac"])

    words = [word for cue in made.cues for word in cue.words]
    assert [word.text for word in words] == ["Stop.", "Look.", "Listen."]
    for word in words:
        assert rms(sound[round(word.start * RATE) : round(word.end * RATE)]) > -30
    for word, following in pairwise(words):
        assert rms(sound[round((word.end + 0.08) * RATE) : round((following.start - 0.08) * RATE)]) < -45


def test_music_is_under_the_speech_and_back_when_it_ends(tmp_path, make, meter, heard):
    files = {"song": make("song.mp3", *PINK)}
    scenes = [Scene("a", duration=3), Scene("b", Narration(TEXT)), Scene("c", duration=4)]
    made = laid(scenes, tmp_path, files=files, music=Music("song", volume=0.4))

    path = mix_sound(made, work=tmp_path)["aac"]

    loudness, peak = meter(path)
    assert loudness == pytest.approx(-14, abs=1)
    assert peak <= -1
    sound = heard(path)
    slot = made.timeline.scenes[1]
    before = rms(sound[RATE : 2 * RATE])
    start, end = float(slot.narration_start), float(slot.narration_start + slot.narration)
    speaking = rms(sound[round(start * RATE) : round(end * RATE)])
    assert speaking > before
    assert rms(sound[round((end + 0.5) * RATE) : round((end + 1) * RATE)]) == pytest.approx(before, abs=1.5)
    # It has faded out by the end.
    assert rms(sound[-RATE // 20 :]) < before - 15


def test_music_alone_is_cut_or_repeated_to_the_length_of_the_video(tmp_path, make, meter, heard):
    files = {"song": make("song.ogg", *PINK)}
    for seconds in (2, 12):
        made = laid([Scene("a", duration=seconds)], tmp_path, files=files, music=Music("song", fade_out=0))

        sound = heard(mix_sound(made, work=tmp_path)["aac"])

        assert len(sound) == seconds * RATE
        assert all(
            rms(sound[at : at + RATE // 2]) > -25 for at in range(0, len(sound) - RATE // 2, RATE // 2)
        )


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        pytest.param("mono.wav", (*BEEPS, "-ac", "1", "-ar", "8000"), id="mono at 8 kHz"),
        pytest.param(
            "surround.flac", (*BEEPS, "-af", "pan=5.1|FC=c0|LFE=c0", "-ar", "96000"), id="5.1 at 96 kHz"
        ),
        pytest.param("quiet.flac", (*BEEPS, "-af", "volume=-40dB"), id="very quiet"),
        pytest.param("loud.wav", (*BEEPS, "-af", "volume=40dB"), id="clipped"),
    ],
)
def test_music_of_any_level_reaches_the_same_loudness(tmp_path, make, meter, name, arguments):
    made = laid(
        [Scene("a", duration=4)],
        tmp_path,
        files={"song": make(name, *arguments)},
        music=Music("song", fade_out=0),
    )

    loudness, peak = meter(mix_sound(made, work=tmp_path)["aac"])

    assert loudness == pytest.approx(-14, abs=1)
    assert peak <= -1


def test_sudden_peaks_stay_below_the_ceiling_in_every_codec(tmp_path, make, meter):
    """Short bursts over a quiet bed: far more peak than loudness, the hardest case for a limiter."""
    bursts = "aevalsrc='0.02*sin(2*PI*300*t)+0.95*lt(mod(t,0.5),0.004)*sin(2*PI*5000*t)':d=10:s=48000"
    files = {"song": make("song.wav", "-f", "lavfi", "-i", bursts)}
    output = Output(formats=("mp4", "webm", "mp3"))
    made = laid(
        [Scene("a", duration=10)], tmp_path, files=files, music=Music("song", fade_out=0), output=output
    )

    for path in mix_sound(made, work=tmp_path).values():
        loudness, peak = meter(path)
        assert peak <= -1, path.name
        assert loudness == pytest.approx(-14, abs=1), path.name


def test_a_video_without_any_sound_has_a_silent_track_of_its_length(tmp_path, heard):
    made = laid([Scene("a", duration=2.5)], tmp_path)

    sound = heard(mix_sound(made, work=tmp_path)["aac"])

    assert sound.shape == (2.5 * RATE, 2)
    assert not sound.any()


@pytest.mark.parametrize("fps", [24, 25, 30, 50, 60])
def test_a_very_short_video_has_its_sound_to_the_sample(tmp_path, make, heard, fps):
    files = {"song": make("song.wav", *BEEPS)}
    made = laid([Scene("a", duration=0.2)], tmp_path, files=files, music=Music("song"), fps=fps)

    sound = heard(mix_sound(made, work=tmp_path)["aac"])

    assert len(sound) == made.timeline.seconds * RATE
    assert np.abs(sound).max() < 0.9


def test_a_clip_is_heard_from_its_start_at_its_speed_and_again(tmp_path, make, heard):
    """The clip sweeps upwards: the pitch that is heard says which moment of it is played."""
    sweep = (*PICTURE, "-f", "lavfi", "-i", "aevalsrc='0.4*sin(2*PI*(300*t+250*t*t))':d=2:s=48000")
    files = {"clip": make("clip.mp4", *sweep, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac")}
    made = laid([Scene("a", visual=clip(start=1.0), duration=3)], tmp_path, files=files)

    sound = heard(mix_sound(made, work=tmp_path)["aac"])[:, 0]

    def pitch(at: float) -> float:
        part = sound[round(at * RATE) : round(at * RATE) + 4800]
        return float(np.abs(np.fft.rfft(part * np.hanning(len(part)), 48_000)).argmax())

    # The pitch at the clip's second s is 300 + 500 s; one second of it is left after its start.
    assert pitch(0.2) == pytest.approx(300 + 500 * 1.25, abs=40)
    assert pitch(0.7) == pytest.approx(300 + 500 * 1.75, abs=40)
    assert pitch(1.2) == pytest.approx(pitch(0.2), abs=30)
    assert pitch(2.2) == pytest.approx(pitch(0.2), abs=30)


def test_there_is_no_click_where_scenes_meet(tmp_path, make, heard):
    """Each clip is a low tone that is cut at its loudest; a click would be a step that no such tone takes."""
    tone = (*PICTURE, "-f", "lavfi", "-i", "aevalsrc='0.5*cos(2*PI*110*t)':d=2:s=48000")
    files = {"clip": make("clip.mp4", *tone, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac")}
    scenes = [
        Scene(f"s{index}", visual=clip(), duration=0.7, transition=Transition("crossfade", 0.2) if index % 2 else Transition())
        for index in range(6)
    ]  # fmt: skip
    made = laid(scenes, tmp_path, files=files)

    sound = heard(mix_sound(made, work=tmp_path)["aac"])[:, 0]

    steps = np.abs(np.diff(sound))
    assert steps.max() < 2 * np.abs(sound).max() * 2 * np.pi * 110 / RATE


def test_a_clip_of_one_channel_is_as_loud_as_the_same_in_two(tmp_path, make):
    levels = []
    for name, channels in (("one", "1"), ("two", "2")):
        tone = (
            "-f",
            "lavfi",
            "-i",
            "aevalsrc='0.4*sin(2*PI*440*t)|0.4*sin(2*PI*440*t)':d=2:s=44100",
            "-ac",
            channels,
        )
        track = Track(make(f"{name}.flac", *tone), 0, RATE)
        (decoded,) = decode_tracks([replace(track, take=Take(track.path, 0.5, 1.0))], FfmpegRunner(tmp_path))
        levels.append(rms(read_samples(decoded.path, 0, RATE)))

    assert levels[0] == pytest.approx(levels[1], abs=0.1)


def test_a_sound_that_begins_after_its_picture_keeps_its_delay(tmp_path, make):
    tone = make("tone.wav", "-f", "lavfi", "-i", "sine=f=440:d=2")
    late = ("-itsoffset", "0.5", "-i", str(tone), "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac")
    path = make("late.mp4", *PICTURE, *late)

    for start, silent in ((0.0, 0.5), (0.25, 0.25)):
        (track,) = decode_tracks([Track(path, 0, RATE, take=Take(path, start, 1.0))], FfmpegRunner(tmp_path))

        loud = np.flatnonzero(np.abs(read_samples(track.path, 0, RATE)[:, 0]) > 0.01)
        assert loud[0] / RATE == pytest.approx(silent, abs=0.01)


def test_a_clip_whose_sound_outlasts_its_scene_ends_with_it(tmp_path, make, heard):
    files = {"clip": make("clip.mkv", "-f", "lavfi", "-i", "testsrc=s=64x64:r=30:d=1", *BEEPS, "-c:a", "aac")}
    made = laid([Scene("a", visual=clip(), duration=1), Scene("b", duration=2)], tmp_path, files=files)

    sound = heard(mix_sound(made, work=tmp_path)["aac"])

    assert rms(sound[: RATE // 2]) > -30
    assert rms(sound[round(1.1 * RATE) :]) < -60


def test_an_undecodable_sound_is_reported_as_unreadable(tmp_path, make):
    path = make("song.mp3", *PINK)
    made = laid([Scene("a", duration=2)], tmp_path, files={"song": path}, music=Music("song"))
    path.write_bytes(b"ID3\x03" + bytes(range(256)) * 100)

    with pytest.raises(AssetUnreadable):
        mix_sound(made, work=tmp_path)


def test_the_same_plan_sounds_the_same(tmp_path, make):
    files = {"song": make("song.mp3", *PINK)}
    made = laid([Scene("a", Narration("Hello there."))], tmp_path, files=files, music=Music("song"))

    first = mix_sound(made, work=tmp_path)["aac"].read_bytes()

    assert mix_sound(made, work=tmp_path)["aac"].read_bytes() == first


def test_progress_goes_up_to_one_and_stopping_stops(tmp_path, make):
    made = laid([Scene("a", Narration(TEXT))], tmp_path)
    told: list[float] = []
    mix_sound(made, work=tmp_path, on_progress=told.append)

    assert told == sorted(told)
    assert told[-1] == 1
    with pytest.raises(Stopped):
        mix_sound(made, work=tmp_path, stop=lambda: True)
    assert not (tmp_path / "mix.f32").exists()


def test_cost_grows_with_length_alone_and_memory_stays_flat(tmp_path, make, meter):
    files = {"song": make("song.mp3", *PINK)}
    seconds: dict[int, float] = {}
    peaks: list[int] = []
    for scenes in (10, 60):
        parts = [Scene(f"s{index}", Narration(TEXT)) for index in range(scenes)]
        made = laid(parts, tmp_path, files=files, music=Music("song"))
        started = time.process_time()
        path = mix_sound(made, work=tmp_path)["aac"]
        seconds[scenes] = (time.process_time() - started) / float(made.timeline.seconds)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    assert made.timeline.seconds > 300
    assert seconds[60] < 1.1 * seconds[10] + 0.002
    assert peaks[1] - peaks[0] < 60_000
    assert meter(path)[0] == pytest.approx(-14, abs=1)
