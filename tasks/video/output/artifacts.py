"""Makes a job's files from its rendered segments: sound, join, other formats, sidecars. It encodes no picture twice."""

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

MIX_SHARE = 0.6  # of the whole of assembly
JOIN_SHARE = 0.7
SOUND_FILES = {"aac": "sound.m4a", "opus": "sound.webm", "mp3": "audio.mp3"}
HLS_PLAYLIST, HLS_MEDIA = "hls_media.m3u8", "hls.mp4"


@dataclass(frozen=True, slots=True)
class OutputFile:
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
) -> tuple[OutputFile, ...]:
    """Write every file that the output names, or raise RenderFailed, AssetUnreadable or Stopped.

    `mixed` is what `mix` returned, where it was called while the segments were being rendered.
    """
    tools = FfmpegRunner(work, stop, ffmpeg)
    tell = _never_falling(on_progress)
    folder = work / "made"
    folder.mkdir(exist_ok=True)
    picture = joining.concat_input(plan.segments, tools)
    with ThreadPoolExecutor(1) as pool:
        # The stills are drawn from the segments while the sound is mixed; the log's context goes along.
        stills = pool.submit(copy_context().run, _draw_stills, plan, picture, folder, tools)
        heard = mixed or mix_sound(
            plan, work=work, on_progress=lambda part: tell(MIX_SHARE * part), stop=stop, ffmpeg=ffmpeg
        )
        tell(MIX_SHARE)
        made = _write_videos(plan, picture, heard, folder, tools, tell)
        made += stills.result()
    made += _write_texts(plan, folder)
    tell(1.0)
    return tuple(made)


def needed_codecs(output: Output) -> tuple[str, ...]:
    """Return the codings of sound that an output needs."""
    others = {"webm": "opus", "mp3": "mp3"}
    return ("aac", *(others[name] for name in output.formats if name in others))


def mix_sound(
    plan: AssemblyPlan,
    *,
    work: Path,
    on_progress: Callable[[float], None] | None = None,
    stop: Callable[[], bool] | None = None,
    ffmpeg: str | Path | None = None,
) -> dict[str, Path]:
    """Write the sound in each coding that the output needs. It needs no segment, so it can run before they are done."""
    wanted = {coding: work / SOUND_FILES[coding] for coding in needed_codecs(plan.output)}
    laid = tracks.plan_tracks(plan.script, plan.timeline, plan.cues, plan.speech, plan.sources, plan.media)
    soundtrack.write_soundtrack(
        laid,
        tracks.total_samples(plan.timeline),
        wanted,
        tools=FfmpegRunner(work, stop, ffmpeg),
        quality=plan.output.quality,
        title=plan.script.title,
        on_progress=_never_falling(on_progress),
    )
    return wanted


def _never_falling(on_progress: Callable[[float], None] | None) -> Callable[[float], None]:
    """Return what passes progress on and never lets it go back: a step that is done again tells lower numbers."""
    highest = 0.0

    def tell(part: float) -> None:
        nonlocal highest
        highest = max(highest, part)
        if on_progress is not None:
            on_progress(highest)

    return tell


def _write_videos(
    plan: AssemblyPlan,
    picture: Sequence[str],
    heard: Mapping[str, Path],
    folder: Path,
    tools: FfmpegRunner,
    tell: Callable[[float], None],
) -> list[OutputFile]:
    """Join the MP4 where any format needs it, and make the formats in the order that they were asked for."""
    video = folder / "video.mp4"
    timeline = plan.timeline
    if set(plan.output.formats) != {"mp3"}:
        joining.join(
            picture,
            heard["aac"],
            video,
            fps=timeline.fps,
            tags=_metadata_arguments(plan),
            tools=tools,
        )
        joining.verify(video, frames=timeline.frames, fps=timeline.fps, size=plan.output.size)
    tell(JOIN_SHARE)

    def encoded(progress: Progress) -> None:
        tell(JOIN_SHARE + (1 - JOIN_SHARE) * min(1.0, progress.frame / timeline.frames))

    return [
        made
        for name in plan.output.formats
        for made in _write_format(name, plan, heard, video, tools, encoded)
    ]


def _write_format(
    name: str,
    plan: AssemblyPlan,
    heard: Mapping[str, Path],
    video: Path,
    tools: FfmpegRunner,
    encoded: Callable[[Progress], None],
) -> list[OutputFile]:
    width, height = plan.output.size
    whole = OutputFile("video.mp4", video, "video/mp4", width, height, _seconds(plan))
    folder = video.parent
    if name == "webm":
        target = folder / "video.webm"
        formats.encode_webm(
            video,
            heard["opus"],
            target,
            output=plan.output,
            tags=_metadata_arguments(plan),
            tools=tools,
            on_progress=encoded,
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
        return [OutputFile("audio.mp3", heard["mp3"], "audio/mpeg", duration=_seconds(plan))]
    return [whole]


def _metadata_arguments(plan: AssemblyPlan) -> tuple[str, ...]:
    """Return ffmpeg's arguments for what each file says of itself."""
    return (*title_arguments(plan.script.title), *language_codes.language_arguments(plan.script.language))


def _draw_stills(
    plan: AssemblyPlan, picture: Sequence[str], folder: Path, tools: FfmpegRunner
) -> list[OutputFile]:
    wanted = plan.output.sidecars
    if not {"poster", "storyboard"} & set(wanted):
        return []
    board = sidecars.plan_storyboard(plan.timeline.seconds, plan.output.size)
    poster, sheet = folder / "poster.jpg", folder / "storyboard.jpg"
    sidecars.draw_stills(
        picture,
        frame=sidecars.poster_frame(plan.timeline),
        poster=poster if "poster" in wanted else None,
        storyboard=(board, sheet) if "storyboard" in wanted else None,
        tools=tools,
    )
    made: list[OutputFile] = []
    if "poster" in wanted:
        made.append(OutputFile(poster.name, poster, "image/jpeg", *plan.output.size))
    if "storyboard" in wanted:
        size = (board.width * board.columns, board.height * board.rows)
        made.append(OutputFile(sheet.name, sheet, "image/jpeg", *size))
        text = sidecars.storyboard_vtt(board, sheet.name)
        made.append(_write_text(folder / "storyboard.vtt", text, "text/vtt"))
    return made


def _write_texts(plan: AssemblyPlan, folder: Path) -> list[OutputFile]:
    wanted = plan.output.sidecars
    made: list[OutputFile] = []
    if "srt" in wanted:
        made.append(
            _write_text(folder / "captions.srt", subtitle_files.to_srt(plan.cues), "application/x-subrip")
        )
    if "vtt" in wanted:
        made.append(_write_text(folder / "captions.vtt", subtitle_files.to_vtt(plan.cues), "text/vtt"))
    if "script" in wanted:
        text = json.dumps(dump_script(plan.script), ensure_ascii=False, indent=2)
        made.append(_write_text(folder / "script.json", text, "application/json"))
    return made


def _write_text(path: Path, text: str, media_type: str) -> OutputFile:
    path.write_text(text, "utf-8")
    return OutputFile(path.name, path, media_type)


def _seconds(plan: AssemblyPlan) -> float:
    return float(plan.timeline.seconds)
