"""Plans a video's audio tracks: which file is heard from which sample to which, how loud, faded, looped or ducked. Pure.

Speech and music are levelled, so that a quiet recording stays audible and `volume` means the same for every file; clips keep
their own level.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING

from tasks.video.sound.ducking import Envelope, compute_envelope, find_speech

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shared.media.probing import Media
    from shared.script.timeline import Slot, Timeline
    from shared.script.values import Music, Script, Visual
    from tasks.video.captions.cues import Cue

RATE = 48_000
CLIP_FADE = 0.02  # seconds: a clip's sound that starts or stops faster clicks
LOOP_FADE = 0.005  # seconds, at the seams of a loop
MIN_LOOP = 0.1  # seconds: looping a file of a few samples would read it a million times a minute


@dataclass(frozen=True, slots=True)
class Take:
    """A part of a file to decode: `seconds` of output from `start` seconds on, `tempo` times as fast as the file."""

    path: Path
    start: float = 0.0
    seconds: float = 0.0
    tempo: float = 1.0
    downmix: tuple[str, ...] = ()  # ffmpeg filters, for channels without a layout


@dataclass(frozen=True, slots=True)
class Track:
    """A sound in the mix. Positions and lengths in samples; with a `period`, the sound repeats after so many.

    Without a `take`, the file is a mono WAV written here and is read as it is.
    """

    path: Path
    start: int
    length: int
    gain: float = 1.0
    fade_in: int = 0
    fade_out: int = 0
    period: int | None = None
    take: Take | None = None
    levelled: bool = False
    ducked: Envelope | None = None


def plan_tracks(
    script: Script,
    timeline: Timeline,
    cues: Sequence[Cue],
    speech: Mapping[str, Path],
    sources: Mapping[str, Path],
    media: Mapping[str, Media],
) -> tuple[Track, ...]:
    """Return the video's tracks. `speech` holds WAV files by scene id, `sources` and `media` the script's files by `src`."""
    tracks = [_narration(slot, speech[slot.id]) for slot in timeline.scenes if slot.id in speech]
    for slot, scene in zip(timeline.scenes, script.scenes, strict=True):
        visual = scene.visual
        if visual is None or visual.type != "video" or visual.volume <= 0 or visual.src is None:
            continue
        facts = media.get(visual.src)
        if facts is not None and facts.has_audio and visual.src in sources:
            tracks += _clip(timeline, slot, visual, sources[visual.src], facts)
    if script.music is not None and script.music.src in sources and script.music.volume > 0:
        tracks.append(_music(timeline, script.music, cues, sources[script.music.src], media))
    return tuple(tracks)


def total_samples(timeline: Timeline) -> int:
    """Return the whole video's length in samples; every frame rate offered divides the sample rate evenly."""
    return round(timeline.seconds * RATE)


def _narration(slot: Slot, path: Path) -> Track:
    length = round((slot.narration or 0) * RATE)
    return Track(path, round(slot.narration_start * RATE), length, levelled=True)


def _clip(timeline: Timeline, slot: Slot, visual: Visual, path: Path, facts: Media) -> list[Track]:
    """Return the clip's sound as its picture plays: same start and speed, looped or slowed if it is too short.

    A loop's round is rounded to whole frames like the picture's, or the two would drift apart.
    """
    fps = timeline.fps
    duration = facts.duration or 0.0
    start = min(visual.start, max(0.0, duration - 2 / fps))
    tempo = visual.speed
    if visual.when_short == "slow":
        tempo = min(tempo, (duration - start) * fps / slot.frames)
    if tempo <= 0:
        return []
    loop_frames = max(1, floor((duration - start) / tempo * fps + 1e-6))
    looped = visual.when_short == "loop" and slot.frames > loop_frames
    played = min(slot.frames, loop_frames) / fps
    following = timeline.scenes[slot.index + 1].transition if slot.index + 1 < len(timeline.scenes) else 0
    return [
        Track(
            path,
            round(slot.start * RATE / fps),
            round((slot.frames / fps if looped else played) * RATE),
            gain=visual.volume,
            fade_in=_fade_samples(slot.transition, fps),
            fade_out=_fade_samples(following, fps),
            period=round(loop_frames * RATE / fps) if looped else None,
            take=Take(path, start, played, tempo, tuple(facts.downmix_filters)),
        )
    ]


def _fade_samples(frames: int, fps: int) -> int:
    return round(max(frames / fps, CLIP_FADE) * RATE)


def _music(
    timeline: Timeline, music: Music, cues: Sequence[Cue], path: Path, media: Mapping[str, Media]
) -> Track:
    length = total_samples(timeline)
    facts = media.get(music.src)
    duration = facts.duration if facts is not None else None
    downmix = tuple(facts.downmix_filters) if facts is not None else ()
    period = round(max(duration, MIN_LOOP) * RATE) if duration and duration * RATE < length else None
    return Track(
        path,
        0,
        length,
        gain=music.volume,
        fade_in=min(round(max(music.fade_in, LOOP_FADE) * RATE), length),
        fade_out=min(round(max(music.fade_out, CLIP_FADE) * RATE), length),
        period=period,
        take=Take(path, 0.0, min(length / RATE, duration or length / RATE), downmix=downmix),
        levelled=True,
        ducked=compute_envelope(find_speech(timeline, cues)) if music.duck else None,
    )
