"""Builds a segment's ffmpeg arguments with ffmpeg-python. Pure: values in, an argv list out.

Frames painted by this process arrive on stdin as one tall picture, the layers below each other and a mask last; ffmpeg reads
clips itself. A client's text never enters a graph: it is in subtitle files, whose names are chosen here.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import ffmpeg

from tasks.video.picture import clips, encoding, transitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INPUTS = 10_000  # numbers that each layer has for its clip's inputs
BLACK, BRIGHT = 16, 255  # luma: video black, and the value of a byte farthest from it


@dataclass(frozen=True, slots=True)
class PlacedImage:
    """An image overlay: a raw RGBA file of even size at an even place, from frame `start` up to `end`."""

    file: str
    size: tuple[int, int]
    place: tuple[int, int]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class StaticSubtitles:
    """A subtitle file that does not change within each span of frames, so that it is drawn once for each."""

    file: str
    spans: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Layer:
    """A scene in the graph: a picture from stdin, by its index from the top, or a clip; and the subtitles on it."""

    stdin_index: int | None = None
    clip: clips.Clip | None = None
    subtitles: Sequence[str | StaticSubtitles] = ()


@dataclass(frozen=True)
class Graph:
    """All that a segment's command is made of. `overlays` holds subtitles and image overlays, the lowest first."""

    size: tuple[int, int]
    fps: int
    frames: int
    layers: Sequence[Layer]
    still: bool  # stdin holds a single frame
    transition: str | None = None
    overlays: Sequence[str | StaticSubtitles | PlacedImage] = ()
    encoding: Mapping[str, Any] = field(default_factory=dict)
    upload: str | None = None  # the pixel format that a hardware encoder needs

    @cached_property
    def moments(self) -> tuple[int, ...]:
        """The frames at which a picture without motion changes; empty if anything moves."""
        elements = [*(subtitles for layer in self.layers for subtitles in layer.subtitles), *self.overlays]
        if not self.still or self.transition is not None or any(layer.clip for layer in self.layers):
            return ()
        spans: list[tuple[int, int]] = []
        for element in elements:
            if isinstance(element, str):
                return ()
            spans += element.spans if isinstance(element, StaticSubtitles) else [(element.start, element.end)]
        return tuple(sorted({0, *(frame for span in spans for frame in span if 0 < frame < self.frames)}))

    def enable_expression(self, spans: Sequence[tuple[int, int]]) -> str:
        """Return the filter expression that is true in these frames, counted in moments if only those are drawn."""
        if self.moments:
            spans = [
                (bisect_left(self.moments, start), bisect_left(self.moments, end)) for start, end in spans
            ]
        return "+".join(f"between(n,{start},{end - 1})" for start, end in spans)


def build_arguments(graph: Graph, target: str) -> list[str]:
    """Return the ffmpeg arguments that render the segment to `target`."""
    streams, mask = _layer_streams(graph)
    stream = streams[0]
    if graph.transition is not None:
        stream = transitions.compose(
            graph.transition, streams[0], streams[1], mask, graph.size, graph.frames, graph.fps
        )
    for overlay in graph.overlays:
        stream = (
            _overlay_image(stream, overlay, graph)
            if isinstance(overlay, PlacedImage)
            else _draw_subtitles(stream, overlay, graph)
        )
    if graph.moments:
        stream = _hold_pictures(stream, graph)
    stream = stream.filter("setparams", **encoding.COLORS)
    if graph.upload:
        stream = stream.filter("format", graph.upload).filter("hwupload")
    options = {**graph.encoding, "frames:v": graph.frames}
    arguments: list[str] = ffmpeg.output(stream, target, **options).get_args()
    return arguments


def _layer_streams(graph: Graph) -> tuple[list[Any], Any]:
    """Return the scenes' streams, and the stream of the transition's mask if it has one."""
    masked = graph.transition in transitions.MASKED
    picture_count = sum(layer.stdin_index is not None for layer in graph.layers) + masked
    pictures = _stdin_streams(graph, picture_count) if picture_count else []
    streams = []
    for index, layer in enumerate(graph.layers):
        if layer.clip is not None:
            numbered = replace(layer.clip, number=index * INPUTS)
            stream = clips.build_stream(numbered, graph.size, graph.fps, graph.frames)
        else:
            stream = pictures[layer.stdin_index or 0]
        for subtitles in layer.subtitles:
            stream = _draw_subtitles(stream, subtitles, graph)
        streams.append(stream)
    return streams, pictures[-1] if masked else None


def _stdin_streams(graph: Graph, picture_count: int) -> list[Any]:
    """Return the streams of the pictures on stdin, cropped from the tall one."""
    width, height = graph.size
    source = ffmpeg.input(
        "pipe:0",
        format="rawvideo",
        pix_fmt="yuv420p",
        video_size=(width, height * picture_count),
        framerate=graph.fps,
    ).filter("setparams", **encoding.COLORS)
    if graph.still:
        source = source.filter("loop", loop=-1, size=1).filter("trim", end_frame=graph.frames)
        if graph.moments:
            source = source.filter("select", "+".join(f"eq(n,{frame})" for frame in graph.moments))
    if picture_count == 1:
        return [source]
    parts = source.filter_multi_output("split", picture_count)
    return [parts[index].filter("crop", width, height, 0, index * height) for index in range(picture_count)]


def _hold_pictures(stream: Any, graph: Graph) -> Any:
    """Hold each picture until the next one, and the last until the end."""
    return (
        stream.filter("fps", fps=graph.fps, start_time=0)
        .filter("tpad", stop=-1, stop_mode="clone")
        .filter("trim", end_frame=graph.frames)
    )


def _draw_subtitles(stream: Any, subtitles: str | StaticSubtitles, graph: Graph) -> Any:
    """Draw a subtitle file: on every frame, or once for each span in which it does not change."""
    if isinstance(subtitles, str):
        return _ass_filter(stream, subtitles)
    enable_expression = graph.enable_expression(subtitles.spans)
    return ffmpeg.overlay(
        stream, _transparent_subtitles(subtitles, graph), eof_action="repeat", enable=enable_expression
    )


def _transparent_subtitles(subtitles: StaticSubtitles, graph: Graph) -> Any:
    """Return the subtitles on a transparent ground, one frame for each span.

    `ass` computes a wrong alpha for translucent colours. So it draws on black and on white, and the difference of the two is
    the transparency: it is largest where nothing is drawn.
    """
    width, height = graph.size
    last = subtitles.spans[-1][0]
    first_frames = "+".join(f"eq(n,{start})" for start, _ in subtitles.spans)
    # ffmpeg-python merges equal nodes, whose output cannot be used twice: the mark gives each file a ground of its own.
    mark = f"metadata=mode=add:key=words:value={subtitles.file}"
    ground = (
        ffmpeg.input(f"color=c=black:s={width}x{height}:r={graph.fps},{mark}", format="lavfi")
        .filter("trim", end_frame=last + 1)
        .filter("select", first_frames)
        .filter("format", "yuv420p")
        .filter("setparams", **encoding.COLORS)
        .filter_multi_output("split", 2)
    )
    dark = _ass_filter(ground[0], subtitles.file).filter_multi_output("split", 2)
    bright = _ass_filter(ground[1].filter("lutyuv", y=BRIGHT), subtitles.file)
    opacity = ffmpeg.filter([bright, dark[0]], "blend", all_mode="difference").filter(
        "lutyuv", y=f"255-val*255/{BRIGHT - BLACK}"
    )
    # Drawn on black, colours are premultiplied; `overlay` expects straight alpha and would darken the edges.
    return (
        ffmpeg.filter([dark[1], opacity], "mergeplanes", map1p=1, map2p=2, map3s=1, format="yuva420p")
        .filter("setparams", alpha_mode="premultiplied")
        .filter("unpremultiply", inplace=1)
    )


def _ass_filter(stream: Any, file: str) -> Any:
    return stream.filter("ass", filename=file, shaping="complex")


def _overlay_image(stream: Any, image: PlacedImage, graph: Graph) -> Any:
    """Overlay an image from its first frame to its last; its single frame is repeated."""
    width, height = image.size
    picture = (
        ffmpeg.input(
            f"file:{image.file}",
            format="rawvideo",
            pix_fmt="rgba",
            video_size=(width, height),
            framerate=graph.fps,
        )
        .filter("scale", out_color_matrix="bt709", out_range="tv")
        .filter("format", "yuva420p")
    )
    always = image.start <= 0 and image.end >= graph.frames
    options = {} if always else {"enable": graph.enable_expression([(image.start, image.end)])}
    return ffmpeg.overlay(stream, picture, x=image.place[0], y=image.place[1], eof_action="repeat", **options)
