"""Builds the filters that turn a clip into a scene's frames: excerpt, speed, loop, fit, colours and motion. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import floor
from typing import TYPE_CHECKING, Any

import ffmpeg

from tasks.video.picture import clip_colors, motion
from tasks.video.picture.clip_colors import ClipColors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.script.values import Motion

DEMUXERS = {
    "video/mp4": "mov", "video/quicktime": "mov", "video/webm": "matroska", "video/x-matroska": "matroska",
    "image/gif": "gif",
}  # fmt: skip
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # ffmpeg's own pass the opacity over
MAX_LOOP_BYTES = 192 << 20  # of frames that ffmpeg loops in memory; a longer loop opens its file once a round
DECODER_THREADS = 2
MAX_PIXELS = 8192 * 8192  # of a clip's frame
SEEK_MARGIN = 1.0  # seconds
TIMESTAMP_TOLERANCE = (
    0.1  # of an output frame: time stamps rounded to milliseconds must not show the frame before
)
MAX_OVERHANG = 1.5  # a clip that overhangs the frame by more is cropped before scaling, which is faster


@dataclass(frozen=True, slots=True)
class Clip:
    """A video file and how it is shown. Times in seconds of the clip; `first_frame` and `scene_frames` in frames.

    `first_frame` is the scene's frame that the segment begins with, `scene_frames` the number of the scene's frames.
    """

    path: str
    media_type: str
    size: tuple[int, int]
    duration: float
    fit: str
    start: float = 0.0
    speed: float = 1.0
    when_short: str = "loop"
    first_frame: int = 0
    scene_frames: int = 0
    colors: ClipColors = field(default_factory=ClipColors)
    transfer: str | None = None
    codec: str | None = None
    interlaced: bool = False
    motion: Motion = "none"
    ground: str = "#000000"
    number: int = 0  # tells inputs apart that are equal otherwise: layers and rounds may show the same frames


def clip_from_spec(visual: Mapping[str, Any], media: Mapping[str, Any], path: str) -> Clip:
    """Return the clip described by a spec's visual and its file's facts."""
    return Clip(
        path=path,
        media_type=media["media_type"],
        size=(media["width"] or 1, media["height"] or 1),
        duration=media["duration"] or 0.0,
        fit=visual["fit"],
        start=visual["start"],
        speed=visual["speed"],
        when_short=visual["when_short"],
        first_frame=visual["from"],
        scene_frames=visual.get("of", 0),
        colors=clip_colors.colors_from_facts(media),
        transfer=media["transfer"],
        codec=media.get("codec"),
        interlaced=media["interlaced"],
        motion=visual.get("motion", "none"),
        ground=visual.get("ground", "#000000"),
    )


def build_stream(clip: Clip, size: tuple[int, int], fps: int, frames: int) -> Any:
    """Return a stream of exactly `frames` frames of the clip."""
    start = min(clip.start, max(0.0, clip.duration - 2 / fps))
    speed = _effective_speed(clip, start, fps)
    whole = max(1, floor((clip.duration - start) / speed * fps + 1e-6))  # frames until the clip ends
    if clip.when_short == "loop" and clip.first_frame + frames > whole:
        stream = _loop(clip, size, fps, frames, start, speed, whole)
    else:
        stream = _excerpt(clip, size, fps, start, speed, min(clip.first_frame, whole - 1), frames)
    # A file may end earlier or later than its probed duration: hold the last frame, and cut after the last one needed.
    padded = stream.filter("tpad", stop_mode="clone", stop=-1).filter("trim", end_frame=frames)
    return _apply_motion(padded.filter("setpts", f"N/{fps}/TB"), clip, size)


def _effective_speed(clip: Clip, start: float, fps: int) -> float:
    """Return the speed; `slow` slows a clip down that is too short for its scene."""
    if clip.when_short != "slow" or not clip.scene_frames:
        return clip.speed
    return min(clip.speed, (clip.duration - start) * fps / clip.scene_frames)


def _loop(
    clip: Clip, size: tuple[int, int], fps: int, frames: int, start: float, speed: float, whole: int
) -> Any:
    """Return the clip looped, each round cut at the same frame."""
    first = clip.first_frame % whole
    if whole * size[0] * size[1] * 3 // 2 <= MAX_LOOP_BYTES:
        round_ = _excerpt(clip, size, fps, start, speed, 0, whole).filter("tpad", stop_mode="clone", stop=-1)
        round_ = round_.filter("trim", end_frame=whole).filter("loop", loop=-1, size=whole)
        return round_.filter("trim", start_frame=first, end_frame=first + frames)
    rounds, left = list[Any](), frames
    while left > 0:
        played = min(whole - first, left)
        numbered = replace(clip, number=clip.number + len(rounds))
        part = _excerpt(numbered, size, fps, start, speed, first, played)
        part = part.filter("tpad", stop_mode="clone", stop=-1)
        rounds.append(part.filter("trim", end_frame=played).filter("setpts", f"N/{fps}/TB"))
        left, first = left - played, 0
    return ffmpeg.concat(*rounds, v=1, a=0) if len(rounds) > 1 else rounds[0]


def _excerpt(
    clip: Clip, size: tuple[int, int], fps: int, start: float, speed: float, first: int, frames: int
) -> Any:
    """Return about `frames` frames; each shows the clip's last frame that is not later than it.

    Reading begins SEEK_MARGIN earlier: the frame on screen at the excerpt's start may have begun before it.
    """
    at = start + first / fps * speed
    margin = min(at, SEEK_MARGIN)
    # ffmpeg-python takes equal nodes for one, whose output cannot be used twice: each input reads another microsecond.
    seconds = margin + frames / fps * speed + 1.0 + clip.number * 1e-6
    source = ffmpeg.input(
        f"file:{clip.path}",
        ss=f"{at - margin:.6f}",
        t=f"{seconds:.6f}",
        format=DEMUXERS[clip.media_type],
        protocol_whitelist="file",  # a playlist passed off as a clip must not open URLs
        max_streams=64,
        max_pixels=MAX_PIXELS,
        threads=DECODER_THREADS,
        an=None, sn=None, dn=None,
        **_decoder_options(clip),
    ).video  # fmt: skip
    source = clip_colors.tag_colors(source, clip.colors, clip.transfer)
    if clip.interlaced:
        source = source.filter("bwdif", mode="send_frame", parity="auto", deint="interlaced")
    source = source.filter("setpts", f"(PTS-{margin:.6f}/TB)/{speed:.9f}-{TIMESTAMP_TOLERANCE}/{fps}/TB")
    # Drop frames before scaling and converting them, or the work is wasted.
    source = source.filter("fps", fps=fps, start_time=0, round="up")
    return _fit_frame(clip_colors.lay_on_ground(source, clip.colors, clip.ground), clip, size)


def _decoder_options(clip: Clip) -> dict[str, str]:
    """Name the decoder that reads opacity, where the file has some and ffmpeg's own decoder would not."""
    decoder = ALPHA_DECODERS.get(clip.codec or "") if clip.colors.alpha else None
    return {"c:v": decoder} if decoder else {}


def _fit_frame(source: Any, clip: Clip, size: tuple[int, int]) -> Any:
    """Return the clip in the frame's size and colours: cropped, padded or on a blurred copy, never stretched."""
    width, height = size
    if clip.fit == "cover":
        if _overhang(clip, size) > MAX_OVERHANG:
            shape = f"{width}/{height}/max(sar,0.01)"
            source = source.filter("crop", f"min(iw,max(2,ih*{shape}))", f"min(ih,max(2,iw/({shape})))")
        return clip_colors.convert_colors(_scale(source, size, "increase"), clip.colors).filter(
            "crop", width, height
        )
    if clip.fit == "contain":
        inside = clip_colors.convert_colors(_scale(source, size, "decrease"), clip.colors)
        color = f"0x{clip.ground[1:]}"
        return inside.filter("pad", width, height, "2*trunc((ow-iw)/4)", "2*trunc((oh-ih)/4)", color=color)
    parts = source.filter_multi_output("split", 2)
    small = (max(16, width // 24 * 2), max(16, height // 24 * 2))
    ground = clip_colors.convert_colors(_scale(parts[0], small, "increase"), clip.colors).filter(
        "crop", *small
    )
    ground = ground.filter("gblur", sigma=max(small) / 40).filter("lutyuv", y="16+(val-16)*0.62")
    ground = ground.filter("scale", width, height, flags="bicubic")
    inside = clip_colors.convert_colors(_scale(parts[1], size, "decrease"), clip.colors)
    return ffmpeg.overlay(ground, inside, x="2*trunc((W-w)/4)", y="2*trunc((H-h)/4)")


def _overhang(clip: Clip, size: tuple[int, int]) -> float:
    """Return by what factor a clip that covers the frame overhangs it."""
    ratio = (clip.size[0] / clip.size[1]) / (size[0] / size[1])
    return max(ratio, 1 / ratio)


def _scale(source: Any, size: tuple[int, int], aspect: str) -> Any:
    return source.filter(
        "scale",
        size[0],
        size[1],
        force_original_aspect_ratio=aspect,
        force_divisible_by=2,
        reset_sar=1,
        flags="bicubic",
    ).filter("setsar", 1)


def _apply_motion(source: Any, clip: Clip, size: tuple[int, int]) -> Any:
    """Return the clip seen through a moving window. `zoompan` jumps by whole pixels; `perspective` does not."""
    if clip.motion == "none":
        return source
    width, height = size
    progress = f"((in+{clip.first_frame})/{max(1, clip.scene_frames - 1)})"
    first, last = (motion.window(clip.motion, (1.0, 1.0), part) for part in (0.0, 1.0))
    scale = f"pow({last.scale / first.scale:.9f},{progress})*{first.scale:.9f}"
    x, y = (f"({a:.9f}+{b - a:.9f}*{progress})" for a, b in ((first.x, last.x), (first.y, last.y)))
    left, top = f"{width}*(0.5+{x}-({scale})/2)", f"{height}*(0.5+{y}-({scale})/2)"
    right, bottom = f"{width}*(0.5+{x}+({scale})/2)", f"{height}*(0.5+{y}+({scale})/2)"
    return source.filter(
        "perspective", x0=left, y0=top, x1=right, y1=top, x2=left, y2=bottom, x3=right, y3=bottom,
        interpolation="cubic", sense="source", eval="frame",
    )  # fmt: skip
