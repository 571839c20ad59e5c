"""Makes a job's files from its rendered segments: sound, join, other formats, sidecars. It encodes no picture twice."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from shared.schemas.canonical import dump
from tasks.video import captions, formats, joining, sidecars, sound, tracks
from tasks.video.tools import Tools

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from shared.media import Media
    from shared.script import Output, Script
    from tasks.video.captions import Cue
    from tasks.video.timeline import Timeline

SOUND_PART = 0.5  # of the whole of assembly
JOIN_PART = 0.6
HLS_MEDIA = "hls.mp4"


@dataclass(frozen=True, slots=True)
class AssemblyPlan:
    """All that assembly needs. `speech` names WAV files by scene; `sources` and `media` the script's files by `src`."""

    script: Script
    output: Output
    timeline: Timeline
    segments: Sequence[Path]
    cues: Sequence[Cue] = ()
    speech: Mapping[str, Path] = field(default_factory=dict)
    sources: Mapping[str, Path] = field(default_factory=dict)
    media: Mapping[str, Media] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Made:
    """A finished file and the facts of it."""

    name: str
    path: Path
    media_type: str
    width: int | None = None
    height: int | None = None
    duration: float | None = None


def assemble(
    plan: AssemblyPlan,
    *,
    work: Path,
    on_progress: Callable[[float], None] | None = None,
    stop: Callable[[], bool] | None = None,
    ffmpeg: str | Path | None = None,
    mixed: Mapping[str, Path] | None = None,
) -> tuple[Made, ...]:
    """Write every file that the output names, or raise RenderFailed, AssetUnreadable or Stopped.

    `mixed` is what `mix` returned, where it was called while the segments were being rendered.
    """
    tools = Tools(work, stop, ffmpeg)
    tell = on_progress or (lambda _: None)
    folder = work / "made"
    folder.mkdir(exist_ok=True)
    heard = mixed or mix(plan, work=work, on_progress=lambda part: tell(SOUND_PART * part), stop=stop, ffmpeg=ffmpeg)  # fmt: skip
    tell(SOUND_PART)
    made: list[Made] = []
    video = folder / "video.mp4"
    if _needs_picture(plan.output):
        _join(plan, heard["aac"], video, tools)
        tell(JOIN_PART)
        made += _formats(plan, heard, video, folder, tools)
        made += _pictures(plan, video, folder, tools)
    if "mp3" in plan.output.formats:
        made.append(Made("audio.mp3", heard["mp3"], "audio/mpeg", duration=_seconds(plan)))
    made += _texts(plan, folder)
    tell(1.0)
    return tuple(made)


def mix(
    plan: AssemblyPlan,
    *,
    work: Path,
    on_progress: Callable[[float], None] | None = None,
    stop: Callable[[], bool] | None = None,
    ffmpeg: str | Path | None = None,
) -> dict[str, Path]:
    """Write the sound in each coding that the output needs. It needs no segment, so it can run before they are done."""
    wanted = {"aac": work / "sound.m4a"}
    if "webm" in plan.output.formats:
        wanted["opus"] = work / "sound.webm"
    if "mp3" in plan.output.formats:
        wanted["mp3"] = work / "audio.mp3"
    laid = tracks.lay(plan.script, plan.timeline, plan.cues, plan.speech, plan.sources, plan.media)
    sound.make(
        laid,
        tracks.total(plan.timeline),
        wanted,
        tools=Tools(work, stop, ffmpeg),
        quality=plan.output.quality,
        title=plan.script.title,
        on_progress=on_progress,
    )
    return wanted


def _needs_picture(output: Output) -> bool:
    return any(name != "mp3" for name in output.formats) or not {"poster", "storyboard"}.isdisjoint(
        output.sidecars
    )


def _join(plan: AssemblyPlan, heard: Path, video: Path, tools: Tools) -> None:
    timeline = plan.timeline
    joining.join(plan.segments, heard, video, fps=timeline.fps, title=plan.script.title, tools=tools)
    joining.check(video, frames=timeline.frames, fps=timeline.fps, size=plan.output.size)


def _formats(
    plan: AssemblyPlan, heard: Mapping[str, Path], video: Path, folder: Path, tools: Tools
) -> list[Made]:
    width, height = plan.output.size
    whole = Made("video.mp4", video, "video/mp4", width, height, _seconds(plan))
    made: list[Made] = []
    for name in plan.output.formats:
        if name == "mp4":
            made.append(whole)
        elif name == "webm":
            target = folder / "video.webm"
            formats.webm(
                video, heard["opus"], target, output=plan.output, title=plan.script.title, tools=tools
            )
            made.append(replace(whole, name=target.name, path=target, media_type="video/webm"))
        elif name == "hls":
            playlist, media = folder / "hls.m3u8", folder / HLS_MEDIA
            formats.hls(video, playlist, media, tools=tools)
            made.append(
                replace(whole, name=playlist.name, path=playlist, media_type="application/vnd.apple.mpegurl")
            )
            made.append(replace(whole, name=media.name, path=media))
        elif name == "gif":
            target = folder / "preview.gif"
            across, down = formats.gif(video, target, output=plan.output, tools=tools)
            seconds = min(_seconds(plan), float(formats.GIF_SECONDS))
            made.append(Made(target.name, target, "image/gif", across, down, seconds))
    return made


def _pictures(plan: AssemblyPlan, video: Path, folder: Path, tools: Tools) -> list[Made]:
    wanted = plan.output.sidecars
    poster = folder / "poster.jpg" if "poster" in wanted else None
    board = sidecars.plan_storyboard(plan.timeline.seconds, plan.output.size)
    sheet = folder / "storyboard.jpg"
    storyboard = (board, sheet) if "storyboard" in wanted else None
    sidecars.draw(video, plan.timeline, poster=poster, storyboard=storyboard, tools=tools)
    made: list[Made] = []
    if poster is not None:
        made.append(Made(poster.name, poster, "image/jpeg", *plan.output.size))
    if storyboard is not None:
        size = (board.width * board.columns, board.height * board.rows)
        made.append(Made(sheet.name, sheet, "image/jpeg", *size))
        text = sidecars.storyboard_vtt(board, sheet.name)
        made.append(_write(folder / "storyboard.vtt", text, "text/vtt"))
    return made


def _texts(plan: AssemblyPlan, folder: Path) -> list[Made]:
    wanted = plan.output.sidecars
    made: list[Made] = []
    if "srt" in wanted:
        made.append(_write(folder / "captions.srt", captions.to_srt(plan.cues), "application/x-subrip"))
    if "vtt" in wanted:
        made.append(_write(folder / "captions.vtt", captions.to_vtt(plan.cues), "text/vtt"))
    if "script" in wanted:
        text = json.dumps(dump(plan.script), ensure_ascii=False, indent=2)
        made.append(_write(folder / "script.json", text, "application/json"))
    return made


def _write(path: Path, text: str, media_type: str) -> Made:
    path.write_text(text, "utf-8")
    return Made(path.name, path, media_type)


def _seconds(plan: AssemblyPlan) -> float:
    return float(plan.timeline.seconds)
