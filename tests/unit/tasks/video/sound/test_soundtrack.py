"""What is heard when, how loud: tracks, ducking, mixing and limiting, in numbers."""

from __future__ import annotations

import wave
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.media.probing import Media
from shared.script.timeline import plan_timeline
from shared.script.values import Music, Narration, Scene, Script, Transition, Visual
from tasks.video.captions.cues import Cue, CueWord
from tasks.video.sound import ducking, limiter, mixing, soundtrack, tracks
from tasks.video.sound.tracks import RATE, Track

CLIP = Media("video", "video/mp4", 1, "aa", 16, 9, duration=2.0, fps=25.0, has_audio=True)
SONG = Media("audio", "audio/mpeg", 1, "bb", duration=3.0, has_audio=True)


def write(path: Path, samples: np.ndarray, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.rint(samples * 32767).astype("<i2").tobytes())
    return path


def tone(seconds: float, level: float, hertz: float = 440) -> np.ndarray:
    return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)


def whole(*laid: Track, seconds: float) -> np.ndarray:
    return np.concatenate(list(mixing.mix_tracks(laid, round(seconds * RATE))))


def lay(script: Script, narration: dict | None = None, cues=(), song: Media = SONG):
    timeline = plan_timeline(script, narration or {}, 30)
    speech = {key: Path(f"{key}.wav") for key in narration or {}}
    sources, media = {"clip": Path("clip"), "song": Path("song")}, {"clip": CLIP, "song": song}
    return tracks.plan_tracks(script, timeline, cues, speech, sources, media), timeline


def test_narration_starts_on_its_exact_sample():
    script = Script(
        scenes=(
            Scene("a", Narration("x")),
            Scene("b", Narration("y"), transition=Transition("crossfade", 0.5)),
        )
    )

    laid, timeline = lay(script, {"a": Fraction(12345, RATE), "b": Fraction(54321, RATE)})

    assert [track.start for track in laid] == [round(slot.narration_start * RATE) for slot in timeline.scenes]
    assert [track.length for track in laid] == [12345, 54321]


@pytest.mark.parametrize("fps", [24, 25, 30, 50, 60])
def test_a_video_is_a_whole_number_of_samples_at_every_frame_rate(fps):
    timeline = plan_timeline(Script(scenes=(Scene("a", duration=0.2),)), {}, fps)

    assert tracks.total_samples(timeline) == timeline.seconds * RATE


def clip(**fields) -> Visual:
    return Visual("video", src="clip", **{"volume": 0.5, **fields})


@pytest.mark.parametrize(
    ("visual", "seconds", "expected"),
    [
        pytest.param(clip(), 1.0, (1.0, None, 1.0, 1.0), id="longer than the scene"),
        pytest.param(clip(start=0.5), 4.0, (4.0, 1.5, 1.5, 1.0), id="looped from its start"),
        pytest.param(clip(speed=2), 4.0, (4.0, 1.0, 1.0, 2.0), id="fast and looped"),
        pytest.param(clip(when_short="freeze"), 4.0, (2.0, None, 2.0, 1.0), id="silent when frozen"),
        pytest.param(clip(when_short="slow"), 4.0, (4.0, None, 4.0, 0.5), id="slowed to the scene"),
    ],
)
def test_a_clips_sound_plays_with_its_picture(visual, seconds, expected):
    (track,), _ = lay(Script(scenes=(Scene("a", visual=visual, duration=seconds),)))

    heard, period, taken, tempo = expected
    assert track.length == heard * RATE
    assert track.period == (period and period * RATE)
    assert (track.take.seconds, track.take.tempo, track.gain) == (taken, tempo, 0.5)


def test_a_muted_clip_and_a_missing_clip_make_no_track():
    muted = Scene("a", visual=Visual("video", src="clip"), duration=1)
    script = Script(scenes=(muted, Scene("b", visual=Visual("video", src="gone", volume=1.0), duration=1)))

    assert lay(script)[0] == ()


def test_a_clip_fades_over_the_transitions_at_both_its_ends():
    scenes = (
        Scene("a", duration=2),
        Scene("b", visual=clip(), duration=2, transition=Transition("crossfade", 0.5)),
        Scene("c", duration=2),
    )

    (track,), timeline = lay(Script(scenes=scenes))

    assert track.start == timeline.scenes[1].start * RATE // 30
    assert track.fade_in == RATE // 2
    assert track.fade_out == round(tracks.CLIP_FADE * RATE)


def test_music_lasts_as_long_as_the_video_and_loops_if_it_is_shorter():
    (track,), timeline = lay(Script(scenes=(Scene("a", duration=10),), music=Music("song", volume=0.3)))

    assert (track.start, track.length) == (0, tracks.total_samples(timeline))
    assert track.period == 3 * RATE
    assert track.fade_out == 2 * RATE


def test_music_of_one_sample_does_not_loop_once_per_sample():
    song = replace(SONG, duration=1 / RATE)

    (track,), _ = lay(Script(scenes=(Scene("a", duration=10),), music=Music("song")), song=song)

    assert track.period == RATE // 10


@pytest.mark.parametrize("tempo", [0.0, -1.0, 1e-300, 1e-9, 0.3])
def test_slowing_a_sound_takes_few_filters_at_any_tempo(tempo):
    assert len(soundtrack.tempo_filters(tempo)) <= 21


def test_short_gaps_stay_ducked():
    assert ducking.merge_spans([(0, 1), (1.5, 2), (2.7, 3)]) == [(0, 2), (2.7, 3)]


def test_music_is_ducked_during_speech_and_back_up_after_it():
    curve = ducking.compute_envelope([(1.0, 2.0)])

    levels = np.interp([0.84, 0.85, 0.925, 1.0, 2.0, 2.2, 2.4, 3], curve.seconds, curve.decibels)
    assert levels == pytest.approx([0, 0, -6, -12, -12, -6, 0, 0], abs=1e-6)


def test_music_comes_up_in_a_pause_within_a_narration():
    words = (CueWord("one", 0.2, 1.0, 0), CueWord("two", 3.0, 4.0, 0))
    timeline = plan_timeline(Script(scenes=(Scene("a", Narration("one two")),)), {"a": Fraction(4)}, 30)

    assert ducking.merge_spans(ducking.find_speech(timeline, [Cue(0.2, 4.0, ("one two",), words)])) == [
        (0.2, 1.0),
        (3.0, 4.0),
    ]
    assert ducking.find_speech(timeline, ()) == [(0.2, 4.2)]


def test_sounds_are_added_at_their_places(tmp_path):
    path = write(tmp_path / "a.wav", np.full(1000, 0.25))

    mixed = whole(Track(path, 95_500, 1000), Track(path, 96_000, 1000), seconds=3)

    assert mixed.shape == (3 * RATE, 2)
    assert mixed[95_499].tolist() == [0, 0]
    assert mixed[95_500] == pytest.approx([0.25, 0.25], abs=1e-4)
    assert mixed[96_200] == pytest.approx([0.5, 0.5], abs=1e-4)
    assert mixed[97_000].tolist() == [0, 0]


def test_levelled_sounds_are_as_loud_as_each_other(tmp_path):
    loud = write(tmp_path / "loud.wav", tone(1, 0.9))
    soft = write(tmp_path / "soft.wav", tone(1, 0.05))

    mixed = [whole(Track(path, 0, RATE, levelled=True), seconds=1) for path in (loud, soft)]

    powers = [10 * np.log10((each**2).mean()) for each in mixed]
    assert powers == pytest.approx([mixing.REFERENCE_LEVEL, mixing.REFERENCE_LEVEL], abs=0.2)


def test_silence_is_not_amplified(tmp_path):
    path = write(tmp_path / "a.wav", np.zeros(RATE))

    assert not whole(Track(path, 0, RATE, levelled=True), seconds=1).any()


def test_a_repeated_sound_has_no_click_at_its_seams(tmp_path):
    # It ends at its highest: repeated as it is, it would jump from there to zero.
    path = write(tmp_path / "a.wav", tone(0.25, 0.5, hertz=101))

    mixed = whole(Track(path, 0, 4 * RATE, period=RATE // 4), seconds=4)

    steps = np.abs(np.diff(mixed[:, 0]))
    assert steps.max() < 1.2 * 0.5 * 2 * np.pi * 101 / RATE
    assert np.abs(mixed[-RATE // 4 :]).max() > 0.4


def test_music_is_ducked_by_twelve_decibels(tmp_path):
    path = write(tmp_path / "a.wav", tone(4, 0.5))

    mixed = whole(Track(path, 0, 4 * RATE, ducked=ducking.compute_envelope([(1.0, 3.0)])), seconds=4)

    before, under = (np.abs(mixed[round(at * RATE) : round((at + 0.5) * RATE)]).max() for at in (0.2, 1.5))
    assert 20 * np.log10(under / before) == pytest.approx(-12, abs=0.05)


def test_a_true_peak_between_samples_is_found():
    # A sine at a quarter of the rate, sampled an eighth of a period off its crests: samples reach 0.707 of it.
    quarter = np.sin(np.pi / 2 * np.arange(4800) + np.pi / 4)
    block = np.stack([quarter, quarter], axis=1).astype(np.float32)

    found = limiter.measure_peaks(np.pad(block, ((limiter.EDGE, limiter.EDGE), (0, 0))))

    assert np.abs(block).max() == pytest.approx(0.7071, abs=1e-3)
    assert np.median(found) == pytest.approx(1.0, abs=0.02)


@settings(deadline=None)
@given(st.lists(st.floats(0, 4), min_size=1, max_size=300))
def test_the_limiter_never_lets_a_peak_through_and_leaves_quiet_sound_alone(levels):
    peaks = np.array(levels)

    gain = limiter.compute_gains(peaks, 0.8)

    assert gain.shape == peaks.shape
    assert (gain * peaks <= 0.8 + 1e-9).all()
    assert (gain > 0).all()
    assert (gain <= 1 + 1e-12).all()
    if peaks.max() <= 0.8:
        assert (gain == 1).all()


def test_limited_samples_stay_below_the_ceiling():
    rng = np.random.default_rng(7)
    block = rng.normal(0, 0.2, (mixing.BLOCK_SAMPLES, 2)).astype(np.float32)
    block = np.clip(block, -0.7, 0.7) * 0.5
    block[30_000:30_010] = 3.0

    found = limiter.measure_peaks(np.pad(block, ((limiter.EDGE, limiter.EDGE), (0, 0))))
    limited = limiter.apply_gain(block, 0, limiter.compute_gains(found, 0.8))

    assert np.abs(limited).max() <= 0.8 + 1e-6
    assert np.allclose(limited[60_000:], block[60_000:], atol=1e-6)
