"""Lays every sound of a video on one line of samples: what is heard from when to when, how loud. Pure.

Speech and music are levelled, so that a quiet recording is not lost and `volume` means the same for every file;
the sound of clips keeps its own level.
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
CLIP_FADE = 0.02  # seconds: no sound of a clip begins or ends harder than this
LOOP_FADE = 0.005  # and none is repeated harder than this
MIN_LOOP = 0.1  # seconds: music of a few samples would be read a million times a minute


@dataclass(frozen=True, slots=True)
class Take:
    """A part of a file to be decoded: from `start`, `seconds` of output, `tempo` times as fast as it is."""

    path: Path
    start: float = 0.0
    seconds: float = 0.0
    tempo: float = 1.0
    downmix: tuple[str, ...] = ()  # ffmpeg filters, for channels without a layout


@dataclass(frozen=True, slots=True)
class Track:
    """A sound on the line. Places and lengths in samples; `period`: it begins again after so many.

    `take` None: the file is a mono WAV of ours, and is read as it is.
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
    """Return all that is heard. `speech` names WAV files by scene, `sources` and `media` the script's files."""
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
    """Return the samples of the whole video; every frame rate that we offer divides them evenly."""
    return round(timeline.seconds * RATE)


def _narration(slot: Slot, path: Path) -> Track:
    length = round((slot.narration or 0) * RATE)
    return Track(path, round(slot.narration_start * RATE), length, levelled=True)


def _clip(timeline: Timeline, slot: Slot, visual: Visual, path: Path, facts: Media) -> list[Track]:
    """Place a clip's sound as its picture runs: from its start, at its speed, again or slower where it is short.

    The picture counts whole frames, so a round of a loop does as well: the two never drift apart.
    """
    fps = timeline.fps
    duration = facts.duration or 0.0
    start = min(visual.start, max(0.0, duration - 2 / fps))
    tempo = visual.speed
    if visual.when_short == "slow":
        tempo = min(tempo, (duration - start) * fps / slot.frames)
    if tempo <= 0:
        return []
    round_frames = max(1, floor((duration - start) / tempo * fps + 1e-6))
    looped = visual.when_short == "loop" and slot.frames > round_frames
    taken = min(slot.frames, round_frames) / fps
    following = timeline.scenes[slot.index + 1].transition if slot.index + 1 < len(timeline.scenes) else 0
    return [
        Track(
            path,
            round(slot.start * RATE / fps),
            round((slot.frames / fps if looped else taken) * RATE),
            gain=visual.volume,
            fade_in=_fade_samples(slot.transition, fps),
            fade_out=_fade_samples(following, fps),
            period=round(round_frames * RATE / fps) if looped else None,
            take=Take(path, start, taken, tempo, tuple(facts.downmix_filters)),
        )
    ]


def _fade_samples(frames: int, fps: int) -> int:
    return round(max(frames / fps, CLIP_FADE) * RATE)


def _music(
    timeline: Timeline, music: Music, cues: Sequence[Cue], path: Path, media: Mapping[str, Media]
) -> Track:
    length = total_samples(timeline)
    facts = media.get(music.src)
    lasting = facts.duration if facts is not None else None
    downmix = tuple(facts.downmix_filters) if facts is not None else ()
    period = round(max(lasting, MIN_LOOP) * RATE) if lasting and lasting * RATE < length else None
    return Track(
        path,
        0,
        length,
        gain=music.volume,
        fade_in=min(round(max(music.fade_in, LOOP_FADE) * RATE), length),
        fade_out=min(round(max(music.fade_out, CLIP_FADE) * RATE), length),
        period=period,
        take=Take(path, 0.0, min(length / RATE, lasting or length / RATE), downmix=downmix),
        levelled=True,
        ducked=compute_envelope(find_speech(timeline, cues)) if music.duck else None,
    )
