"""Writes a video's files from its rendered segments and its sound: MP4, other formats, sidecars."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.script.schema.canonical import dump_script
from tasks.video.captions import subtitle_files
from tasks.video.ffmpeg_runner import FfmpegRunner, title_arguments
from tasks.video.output import formats, joining, language_codes, sidecars
from tasks.video.sound import soundtrack, tracks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from shared.processes.ffmpeg import Progress
    from shared.script.values import Output
    from tasks.video.output.assembly_plan import AssemblyPlan

# Progress of assembly, of 1, when the sound is mixed and when the MP4 is joined.
MIX_SHARE = 0.6
JOIN_SHARE = 0.7
SOUND_FILES = {"aac": "sound.m4a", "opus": "sound.webm", "mp3": "audio.mp3"}
HLS_PLAYLIST, HLS_MEDIA = "hls_media.m3u8", "hls.mp4"


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A finished file. Sizes in pixels and `duration` in seconds, where it has them."""

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
) -> tuple[OutputFile, ...]:
    """Write every file that the output asks for and return them in its order.

    `mixed` is what `mix_sound` returned, if the sound is mixed already. Raise RenderFailed, AssetUnreadable or Stopped.
    """
    tools = FfmpegRunner(work, stop, ffmpeg)
    report = _never_falling(on_progress)
    folder = work / "made"
    folder.mkdir(exist_ok=True)
    picture = joining.concat_input(plan.segments, tools)
    with ThreadPoolExecutor(1) as pool:
        # Stills need only the segments, so they are drawn while the sound is mixed. Without the copied context, their log
        # lines would lack the task's id.
        stills = pool.submit(copy_context().run, _draw_stills, plan, picture, folder, tools)
        sound_files = mixed or mix_sound(
            plan, work=work, on_progress=lambda part: report(MIX_SHARE * part), stop=stop, ffmpeg=ffmpeg
        )
        report(MIX_SHARE)
        files = _write_videos(plan, picture, sound_files, folder, tools, report)
        files += stills.result()
    files += _write_texts(plan, folder)
    report(1.0)
    return tuple(files)


def needed_codecs(output: Output) -> tuple[str, ...]:
    """Return the audio codecs that an output's formats need."""
    other_codecs = {"webm": "opus", "mp3": "mp3"}
    return ("aac", *(other_codecs[name] for name in output.formats if name in other_codecs))


def mix_sound(
    plan: AssemblyPlan,
    *,
    work: Path,
    on_progress: Callable[[float], None] | None = None,
    stop: Callable[[], bool] | None = None,
    ffmpeg: str | Path | None = None,
) -> dict[str, Path]:
    """Write the sound in each codec that the output needs and return the files by codec. It needs no segments."""
    targets = {coding: work / SOUND_FILES[coding] for coding in needed_codecs(plan.output)}
    planned_tracks = tracks.plan_tracks(
        plan.script, plan.timeline, plan.cues, plan.speech, plan.sources, plan.media
    )
    soundtrack.write_soundtrack(
        planned_tracks,
        tracks.total_samples(plan.timeline),
        targets,
        tools=FfmpegRunner(work, stop, ffmpeg),
        quality=plan.output.quality,
        title=plan.script.title,
        on_progress=_never_falling(on_progress),
    )
    return targets


def _never_falling(on_progress: Callable[[float], None] | None) -> Callable[[float], None]:
    """Return a callback that never reports less than before: a second round of mixing starts at lower numbers."""
    highest = 0.0

    def report(part: float) -> None:
        nonlocal highest
        highest = max(highest, part)
        if on_progress is not None:
            on_progress(highest)

    return report


def _write_videos(
    plan: AssemblyPlan,
    picture: Sequence[str],
    sound_files: Mapping[str, Path],
    folder: Path,
    tools: FfmpegRunner,
    report: Callable[[float], None],
) -> list[OutputFile]:
    """Join the MP4, unless only an MP3 is asked for, and write the formats in the order asked for."""
    video = folder / "video.mp4"
    timeline = plan.timeline
    if set(plan.output.formats) != {"mp3"}:
        joining.join(
            picture,
            sound_files["aac"],
            video,
            fps=timeline.fps,
            tags=_metadata_arguments(plan),
            tools=tools,
        )
        joining.verify(video, frames=timeline.frames, fps=timeline.fps, size=plan.output.size)
    report(JOIN_SHARE)

    def report_frames(progress: Progress) -> None:
        report(JOIN_SHARE + (1 - JOIN_SHARE) * min(1.0, progress.frame / timeline.frames))

    return [
        files
        for name in plan.output.formats
        for files in _write_format(name, plan, sound_files, video, tools, report_frames)
    ]


def _write_format(
    name: str,
    plan: AssemblyPlan,
    sound_files: Mapping[str, Path],
    video: Path,
    tools: FfmpegRunner,
    report_frames: Callable[[Progress], None],
) -> list[OutputFile]:
    width, height = plan.output.size
    whole = OutputFile("video.mp4", video, "video/mp4", width, height, _seconds(plan))
    folder = video.parent
    if name == "webm":
        target = folder / "video.webm"
        formats.encode_webm(
            video,
            sound_files["opus"],
            target,
            output=plan.output,
            tags=_metadata_arguments(plan),
            tools=tools,
            on_progress=report_frames,
        )
        return [replace(whole, name=target.name, path=target, media_type="video/webm")]
    if name == "hls":
        master, playlist, media = folder / "hls.m3u8", folder / HLS_PLAYLIST, folder / HLS_MEDIA
        formats.write_hls(
            video, master, playlist, media,
            output=plan.output, tags=_metadata_arguments(plan), tools=tools,
        )  # fmt: skip
        index = replace(whole, name=master.name, path=master, media_type="application/vnd.apple.mpegurl")
        listing = replace(index, name=playlist.name, path=playlist)
        return [index, listing, replace(whole, name=media.name, path=media)]
    if name == "gif":
        target = folder / "preview.gif"
        across, down = formats.encode_gif(video, target, output=plan.output, tools=tools)
        seconds = min(_seconds(plan), float(formats.GIF_SECONDS))
        return [OutputFile(target.name, target, "image/gif", across, down, seconds)]
    if name == "mp3":
        return [OutputFile("audio.mp3", sound_files["mp3"], "audio/mpeg", duration=_seconds(plan))]
    return [whole]


def _metadata_arguments(plan: AssemblyPlan) -> tuple[str, ...]:
    """Return ffmpeg's arguments for the title and the language."""
    return (*title_arguments(plan.script.title), *language_codes.language_arguments(plan.script.language))


def _draw_stills(
    plan: AssemblyPlan, picture: Sequence[str], folder: Path, tools: FfmpegRunner
) -> list[OutputFile]:
    targets = plan.output.sidecars
    if not {"poster", "storyboard"} & set(targets):
        return []
    board = sidecars.plan_storyboard(plan.timeline.seconds, plan.output.size)
    poster, sheet = folder / "poster.jpg", folder / "storyboard.jpg"
    sidecars.draw_stills(
        picture,
        frame=sidecars.poster_frame(plan.timeline),
        poster=poster if "poster" in targets else None,
        storyboard=(board, sheet) if "storyboard" in targets else None,
        tools=tools,
    )
    files: list[OutputFile] = []
    if "poster" in targets:
        files.append(OutputFile(poster.name, poster, "image/jpeg", *plan.output.size))
    if "storyboard" in targets:
        size = (board.width * board.columns, board.height * board.rows)
        files.append(OutputFile(sheet.name, sheet, "image/jpeg", *size))
        text = sidecars.storyboard_vtt(board, sheet.name)
        files.append(_write_text(folder / "storyboard.vtt", text, "text/vtt"))
    return files


def _write_texts(plan: AssemblyPlan, folder: Path) -> list[OutputFile]:
    targets = plan.output.sidecars
    files: list[OutputFile] = []
    if "srt" in targets:
        files.append(
            _write_text(folder / "captions.srt", subtitle_files.to_srt(plan.cues), "application/x-subrip")
        )
    if "vtt" in targets:
        files.append(_write_text(folder / "captions.vtt", subtitle_files.to_vtt(plan.cues), "text/vtt"))
    if "script" in targets:
        text = json.dumps(dump_script(plan.script), ensure_ascii=False, indent=2)
        files.append(_write_text(folder / "script.json", text, "application/json"))
    return files


def _write_text(path: Path, text: str, media_type: str) -> OutputFile:
    path.write_text(text, "utf-8")
    return OutputFile(path.name, path, media_type)


def _seconds(plan: AssemblyPlan) -> float:
    return float(plan.timeline.seconds)
