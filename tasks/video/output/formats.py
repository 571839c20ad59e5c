"""Converts a finished MP4 to WebM, HLS and a short GIF."""

from __future__ import annotations

import re
from math import ceil
from typing import TYPE_CHECKING

import av

from shared.errors import RenderFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from shared.processes.ffmpeg import Progress
    from shared.script.values import Output
    from tasks.video.ffmpeg_runner import FfmpegRunner

AAC = "mp4a.40.2"
HLS_SECONDS = 6  # cut at the next key frame, of which there is one every two seconds
GIF_SECONDS = 6
GIF_FPS = 10
GIF_SIDE = 480  # pixels, the longer one
# VP9's CRF and -cpu-used by quality; 8 is the fastest.
VP9 = {"draft": ("42", "8"), "standard": ("35", "6"), "high": ("30", "4")}


def encode_webm(
    video: Path,
    sound: Path,
    target: Path,
    *,
    output: Output,
    tags: Sequence[str],
    tools: FfmpegRunner,
    on_progress: Callable[[Progress], None] | None = None,
) -> None:
    """Encode the picture as VP9. `sound` is the mix as Opus: converting the MP4's AAC would lose quality twice."""
    crf, speed = VP9[output.quality]
    tools.run(
        "-f", "mov", "-i", f"file:{video}", "-f", "matroska", "-i", f"file:{sound}",
        "-map", "0:v:0", "-map", "1:a:0", "-map_metadata", "-1",
        "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", speed, "-row-mt", "1", "-tile-columns", "2",
        "-crf", crf, "-b:v", "0", "-g", str(2 * output.fps), "-pix_fmt", "yuv420p", "-c:a", "copy",
        *tags, "-f", "webm", f"file:{target}",
        on_progress=on_progress,
    )  # fmt: skip


def write_hls(
    video: Path,
    master: Path,
    playlist: Path,
    media: Path,
    *,
    output: Output,
    tags: Sequence[str],
    tools: FfmpegRunner,
) -> None:
    """Write the MP4 as one fragmented file with a playlist of byte ranges, without encoding again.

    The master playlist states codecs and bandwidth, so that a player can tell whether it can play the stream before loading it.
    """
    tools.run(
        "-f", "mov", "-i", f"file:{video}", "-map", "0", "-c", "copy", "-map_metadata", "-1",
        *tags, "-f", "hls", "-hls_time", str(HLS_SECONDS), "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4",
        "-hls_flags", "single_file+independent_segments",
        "-hls_segment_filename", str(media), str(playlist),
    )  # fmt: skip
    text = master_playlist(playlist.read_text("utf-8"), playlist.name, _codecs(video), output)
    master.write_text(text, "utf-8")


def master_playlist(listing: str, name: str, codecs: str, output: Output) -> str:
    """Return the master playlist for a media playlist of that text and name. Pure."""
    seconds = [float(number) for number in re.findall(r"^#EXTINF:([\d.]+)", listing, re.MULTILINE)]
    sizes = [8 * int(number) for number in re.findall(r"^#EXT-X-BYTERANGE:(\d+)", listing, re.MULTILINE)]
    highest = max(ceil(bits / duration) for bits, duration in zip(sizes, seconds, strict=True))
    mean = ceil(sum(sizes) / sum(seconds))
    width, height = output.size
    return (
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        f"#EXT-X-STREAM-INF:BANDWIDTH={highest},AVERAGE-BANDWIDTH={mean},"
        f'CODECS="{codecs}",RESOLUTION={width}x{height},FRAME-RATE={output.fps:.3f},'
        f"VIDEO-RANGE=SDR,CLOSED-CAPTIONS=NONE\n{name}\n"
    )


def _codecs(video: Path) -> str:
    """Return the MP4's codecs as RFC 6381 writes them; H.264's profile and level are in its extradata."""
    with av.open(str(video), format="mov") as container:
        parameters = container.streams.video[0].codec_context.extradata or b""
    if len(parameters) < 4:
        raise RenderFailed("The joined video does not say how it is encoded.")
    return f"avc1.{parameters[1:4].hex()},{AAC}"


def encode_gif(video: Path, target: Path, *, output: Output, tools: FfmpegRunner) -> tuple[int, int]:
    """Write an animated GIF of the first seconds and return its size in pixels."""
    scale = min(1.0, GIF_SIDE / max(output.size))
    width, height = (max(2, round(side * scale / 2) * 2) for side in output.size)
    graph = (
        f"fps={GIF_FPS},scale={width}:{height}:flags=lanczos,split[a][b];"
        "[a]palettegen=stats_mode=diff[p];[b][p]paletteuse=dither=bayer:bayer_scale=4:diff_mode=rectangle"
    )
    tools.run(
        "-t", str(GIF_SECONDS), "-f", "mov", "-i", f"file:{video}",
        "-an", "-vf", graph, "-loop", "0", "-f", "gif", f"file:{target}",
    )  # fmt: skip
    return width, height
