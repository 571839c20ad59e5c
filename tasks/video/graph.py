"""Composes the filter graph of a segment with ffmpeg-python. Pure: values in, an argv list out.

Frames that this process makes come in on stdin as one tall picture, a layer below the other, a mask last; clips are read by
ffmpeg itself. No text of a client is in a graph: it stands in subtitle files of names that we chose.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ffmpeg

from tasks.video.picture import clips, encoding, transitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Stamp:
    """A picture that lies on the frame: a raw RGBA file of even size, at an even place."""

    file: str
    size: tuple[int, int]
    place: tuple[int, int]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Layer:
    """A scene in the graph: a made picture (its number from the top of stdin's) or a clip, and its subtitle file."""

    made: int | None = None
    clip: clips.Clip | None = None
    subtitles: str | None = None


@dataclass(frozen=True, slots=True)
class Graph:
    """All that a segment's command is made of. `over` is subtitle files and stamps, from below to the top."""

    size: tuple[int, int]
    fps: int
    frames: int
    layers: Sequence[Layer]
    still: bool  # stdin holds one frame for the whole segment
    transition: str | None = None
    over: Sequence[str | Stamp] = ()
    encoding: Mapping[str, Any] = field(default_factory=dict)
    upload: str | None = None  # a hardware encoder's own format


def arguments(graph: Graph, target: str) -> list[str]:
    """Return ffmpeg's arguments that make the segment."""
    streams, mask = _layers(graph)
    stream = streams[0]
    if graph.transition is not None:
        stream = transitions.compose(
            graph.transition, streams[0], streams[1], mask, graph.size, graph.frames, graph.fps
        )
    for over in graph.over:
        stream = _subtitles(stream, over) if isinstance(over, str) else _stamp(stream, over, graph)
    stream = stream.filter("setparams", **encoding.COLORS)
    if graph.upload:
        stream = stream.filter("format", graph.upload).filter("hwupload")
    options = {**graph.encoding, "frames:v": graph.frames}
    found: list[str] = ffmpeg.output(stream, target, **options).get_args()
    return found


def _layers(graph: Graph) -> tuple[list[Any], Any]:
    """Return the scenes' streams, and that of the transition's mask where it has one."""
    masked = graph.transition in transitions.MASKED
    made = sum(layer.made is not None for layer in graph.layers) + masked
    pictures = _made(graph, made) if made else []
    streams = []
    for layer in graph.layers:
        if layer.clip is not None:
            stream = clips.stream(layer.clip, graph.size, graph.fps, graph.frames)
        else:
            stream = pictures[layer.made or 0]
        streams.append(_subtitles(stream, layer.subtitles) if layer.subtitles else stream)
    return streams, pictures[-1] if masked else None


def _made(graph: Graph, made: int) -> list[Any]:
    """Return the streams of the pictures that come on stdin."""
    width, height = graph.size
    source = ffmpeg.input(
        "pipe:0", format="rawvideo", pix_fmt="yuv420p", video_size=(width, height * made), framerate=graph.fps
    ).filter("setparams", **encoding.COLORS)
    if graph.still:
        source = source.filter("loop", loop=-1, size=1).filter("trim", end_frame=graph.frames)
    if made == 1:
        return [source]
    parts = source.filter_multi_output("split", made)
    return [parts[index].filter("crop", width, height, 0, index * height) for index in range(made)]


def _subtitles(stream: Any, file: str) -> Any:
    return stream.filter("ass", filename=file, shaping="complex")


def _stamp(stream: Any, stamp: Stamp, graph: Graph) -> Any:
    """Lay a picture on the frame from its first frame to its last; one picture is repeated for as long as it takes."""
    width, height = stamp.size
    picture = (
        ffmpeg.input(
            f"file:{stamp.file}",
            format="rawvideo",
            pix_fmt="rgba",
            video_size=(width, height),
            framerate=graph.fps,
        )
        .filter("scale", out_color_matrix="bt709", out_range="tv")
        .filter("format", "yuva420p")
    )
    shown = f"between(n,{stamp.start},{stamp.end - 1})"
    always = stamp.start <= 0 and stamp.end >= graph.frames
    options = {} if always else {"enable": shown}
    return ffmpeg.overlay(stream, picture, x=stamp.place[0], y=stamp.place[1], eof_action="repeat", **options)
