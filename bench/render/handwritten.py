"""The reel as one ffmpeg command, as someone who knows ffmpeg well would write it; and the encoder alone.

Pictures are scaled up once to half as much again as the frame before `zoompan`, which is the usual cure for its
jitter at a bearable price; titles are `drawtext` from files; scenes are joined by `xfade`; music is ducked under the
narration by `sidechaincompress`, and the whole is brought to -14 LUFS by `loudnorm` in the same command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.render import reel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.render.plan import Plan

WIDTH, HEIGHT = reel.SIZE
SUPERSAMPLED = 1.5
STEREO, LOUDNESS = "aformat=channel_layouts=stereo", "loudnorm=I=-14:TP=-1:LRA=11"
X264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-pix_fmt", "yuv420p")


def command(ffmpeg: str, plan: Plan, font: Path, folder: Path, target: Path) -> list[str]:
    """Return the command that makes the whole video from the pictures, the narrations' WAV files and the music."""
    argv = [ffmpeg, "-hide_banner", "-nostdin", "-y", "-loglevel", "error"]
    for picture in plan.reel.pictures:
        argv += ["-i", str(picture)]
    for speech in plan.speech:
        argv += ["-i", str(speech)]
    argv += ["-stream_loop", "-1", "-i", str(plan.reel.music)]
    graph = ";".join([*_scenes(plan, font, folder), *_fades(plan), *_sound(plan)])
    return [
        *argv, "-filter_complex", graph, "-map", "[picture]", "-map", "[sound]", *X264,
        "-c:a", "aac", "-b:a", "192k", "-ar", str(reel.RATE), "-movflags", "+faststart", str(target),
    ]  # fmt: skip


def _scenes(plan: Plan, font: Path, folder: Path) -> list[str]:
    wide, high = round(WIDTH * SUPERSAMPLED), round(HEIGHT * SUPERSAMPLED)
    made = []
    for index, (frames, title) in enumerate(zip(plan.frames, plan.titles, strict=True)):
        text = folder / f"title-{index}.txt"
        text.write_text(title)
        made.append(
            f"[{index}:v]scale={wide}:{high}:flags=bicubic:out_range=tv,format=yuv420p,"
            f"zoompan=z='1+{reel.ZOOM}*on/{frames - 1}':x='iw/2-iw/zoom/2':y='ih/2-ih/zoom/2'"
            f":d={frames}:s={WIDTH}x{HEIGHT}:fps={reel.FPS},"
            f"drawtext=fontfile={font}:textfile={text}:fontsize=104:fontcolor=white"
            f":x=(w-text_w)/2:y=(h-text_h)/2:shadowcolor=black@0.7:shadowx=3:shadowy=3,setsar=1[v{index}]"
        )
    return made


def _fades(plan: Plan) -> list[str]:
    made, before = [], "v0"
    for index, start in enumerate(plan.starts[1:], 1):
        label = "picture" if index == len(plan.starts) - 1 else f"x{index}"
        made.append(
            f"[{before}][v{index}]xfade=transition=fade:duration={reel.CROSSFADE}:offset={start}[{label}]"
        )
        before = label
    return made


def _sound(plan: Plan) -> list[str]:
    count = len(plan.speech)
    made = [
        f"[{count + index}:a]adelay={round(1000 * at)}[n{index}]" for index, at in enumerate(plan.spoken_at)
    ]
    voices = "".join(f"[n{index}]" for index in range(count))
    length = plan.seconds
    ends = f"afade=t=out:st={length - 2}:d=2"
    return [
        *made,
        f"{voices}amix=inputs={count}:normalize=0,apad=whole_dur={length},{STEREO},asplit[voice][key]",
        f"[{2 * count}:a]atrim=end={length},volume=0.4,{ends}[bed]",
        "[bed][key]sidechaincompress=threshold=0.02:ratio=6:attack=150:release=400[ducked]",
        f"[voice][ducked]amix=inputs=2:normalize=0:duration=longest,atrim=end={length},{LOUDNESS}[sound]",
    ]


def encode(ffmpeg: str, frames: Path, target: Path) -> list[str]:
    """Return the command that only encodes: decoded frames of the reel come from a file."""
    size = f"{WIDTH}x{HEIGHT}"
    return [
        ffmpeg, "-hide_banner", "-nostdin", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p",
        "-s", size, "-r", str(reel.FPS), "-i", str(frames), *X264, str(target),
    ]  # fmt: skip


def decode(ffmpeg: str, video: Path, target: Path) -> Sequence[str]:
    """Return the command that makes the frames which `encode` reads."""
    return [
        ffmpeg, "-hide_banner", "-nostdin", "-y", "-loglevel", "error", "-i", str(video), "-map", "0:v",
        "-f", "rawvideo", "-pix_fmt", "yuv420p", str(target),
    ]  # fmt: skip
