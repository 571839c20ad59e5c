"""Composes the filter graph of a segment with ffmpeg-python. Pure: values in, an argv list out.

Frames that this process makes come in on stdin as one tall picture, a layer below the other, a mask last; clips are read by
ffmpeg itself. No text of a client is in a graph: it stands in subtitle files of names that we chose.
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
BLACK, BRIGHT = 16, 255  # of luma: the darkest that is shown, and as far from it as a byte goes


@dataclass(frozen=True, slots=True)
class PlacedImage:
    """A picture that lies on the frame: a raw RGBA file of even size, at an even place."""

    file: str
    size: tuple[int, int]
    place: tuple[int, int]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class StaticSubtitles:
    """A subtitle file that is drawn once for each span of frames, throughout which it looks the same."""

    file: str
    spans: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Layer:
    """A scene in the graph: a made picture (its number from the top of stdin's) or a clip, and what is written on it."""

    made: int | None = None
    clip: clips.Clip | None = None
    words: Sequence[str | StaticSubtitles] = ()


@dataclass(frozen=True)
class Graph:
    """All that a segment's command is made of. `over` is words and stamps, from below to the top."""

    size: tuple[int, int]
    fps: int
    frames: int
    layers: Sequence[Layer]
    still: bool  # stdin holds one frame for the whole segment
    transition: str | None = None
    over: Sequence[str | StaticSubtitles | PlacedImage] = ()
    encoding: Mapping[str, Any] = field(default_factory=dict)
    upload: str | None = None  # a hardware encoder's own format

    @cached_property
    def moments(self) -> tuple[int, ...]:
        """Return the frames from which on a picture that stands still looks different; none where something moves."""
        drawn = [*(words for layer in self.layers for words in layer.words), *self.over]
        if not self.still or self.transition is not None or any(layer.clip for layer in self.layers):
            return ()
        spans: list[tuple[int, int]] = []
        for each in drawn:
            if isinstance(each, str):
                return ()
            spans += each.spans if isinstance(each, StaticSubtitles) else [(each.start, each.end)]
        return tuple(sorted({0, *(frame for span in spans for frame in span if 0 < frame < self.frames)}))

    def shown(self, spans: Sequence[tuple[int, int]]) -> str:
        """Return the expression that is true in these frames; of a still picture only its moments are drawn."""
        if self.moments:
            spans = [
                (bisect_left(self.moments, start), bisect_left(self.moments, end)) for start, end in spans
            ]
        return "+".join(f"between(n,{start},{end - 1})" for start, end in spans)


def build_arguments(graph: Graph, target: str) -> list[str]:
    """Return ffmpeg's arguments that make the segment."""
    streams, mask = _layer_streams(graph)
    stream = streams[0]
    if graph.transition is not None:
        stream = transitions.compose(
            graph.transition, streams[0], streams[1], mask, graph.size, graph.frames, graph.fps
        )
    for over in graph.over:
        stream = (
            _overlay_image(stream, over, graph)
            if isinstance(over, PlacedImage)
            else _draw_subtitles(stream, over, graph)
        )
    if graph.moments:
        stream = _hold_pictures(stream, graph)
    stream = stream.filter("setparams", **encoding.COLORS)
    if graph.upload:
        stream = stream.filter("format", graph.upload).filter("hwupload")
    options = {**graph.encoding, "frames:v": graph.frames}
    found: list[str] = ffmpeg.output(stream, target, **options).get_args()
    return found


def _layer_streams(graph: Graph) -> tuple[list[Any], Any]:
    """Return the scenes' streams, and that of the transition's mask where it has one."""
    masked = graph.transition in transitions.MASKED
    made = sum(layer.made is not None for layer in graph.layers) + masked
    pictures = _stdin_streams(graph, made) if made else []
    streams = []
    for index, layer in enumerate(graph.layers):
        if layer.clip is not None:
            numbered = replace(layer.clip, number=index * INPUTS)
            stream = clips.build_stream(numbered, graph.size, graph.fps, graph.frames)
        else:
            stream = pictures[layer.made or 0]
        for words in layer.words:
            stream = _draw_subtitles(stream, words, graph)
        streams.append(stream)
    return streams, pictures[-1] if masked else None


def _stdin_streams(graph: Graph, made: int) -> list[Any]:
    """Return the streams of the pictures that come on stdin."""
    width, height = graph.size
    source = ffmpeg.input(
        "pipe:0", format="rawvideo", pix_fmt="yuv420p", video_size=(width, height * made), framerate=graph.fps
    ).filter("setparams", **encoding.COLORS)
    if graph.still:
        source = source.filter("loop", loop=-1, size=1).filter("trim", end_frame=graph.frames)
        if graph.moments:
            source = source.filter("select", "+".join(f"eq(n,{frame})" for frame in graph.moments))
    if made == 1:
        return [source]
    parts = source.filter_multi_output("split", made)
    return [parts[index].filter("crop", width, height, 0, index * height) for index in range(made)]


def _hold_pictures(stream: Any, graph: Graph) -> Any:
    """Let each picture stay until the next one, and the last to the end."""
    return (
        stream.filter("fps", fps=graph.fps, start_time=0)
        .filter("tpad", stop=-1, stop_mode="clone")
        .filter("trim", end_frame=graph.frames)
    )


def _draw_subtitles(stream: Any, words: str | StaticSubtitles, graph: Graph) -> Any:
    """Draw a subtitle file: on every frame, or once for each of its spans."""
    if isinstance(words, str):
        return _ass_filter(stream, words)
    shown = graph.shown(words.spans)
    return ffmpeg.overlay(stream, _transparent_subtitles(words, graph), eof_action="repeat", enable=shown)


def _transparent_subtitles(words: StaticSubtitles, graph: Graph) -> Any:
    """Return the words alone, a frame a span, with what lies between them transparent.

    `ass` cannot do so: it gets the opacity wrong where a colour is not solid. So it draws on black and on white;
    where the two differ by all that they can, nothing is written.
    """
    width, height = graph.size
    last = words.spans[-1][0]
    first_frames = "+".join(f"eq(n,{start})" for start, _ in words.spans)
    # ffmpeg-python takes equal nodes for one: by its mark, each file has a ground of its own.
    mark = f"metadata=mode=add:key=words:value={words.file}"
    ground = (
        ffmpeg.input(f"color=c=black:s={width}x{height}:r={graph.fps},{mark}", format="lavfi")
        .filter("trim", end_frame=last + 1)
        .filter("select", first_frames)
        .filter("format", "yuv420p")
        .filter("setparams", **encoding.COLORS)
        .filter_multi_output("split", 2)
    )
    dark = _ass_filter(ground[0], words.file).filter_multi_output("split", 2)
    bright = _ass_filter(ground[1].filter("lutyuv", y=BRIGHT), words.file)
    seen = ffmpeg.filter([bright, dark[0]], "blend", all_mode="difference").filter(
        "lutyuv", y=f"255-val*255/{BRIGHT - BLACK}"
    )
    # Black with each pixel's opacity is what premultiplied means; `overlay` only takes the other kind.
    return (
        ffmpeg.filter([dark[1], seen], "mergeplanes", map1p=1, map2p=2, map3s=1, format="yuva420p")
        .filter("setparams", alpha_mode="premultiplied")
        .filter("unpremultiply", inplace=1)
    )


def _ass_filter(stream: Any, file: str) -> Any:
    return stream.filter("ass", filename=file, shaping="complex")


def _overlay_image(stream: Any, stamp: PlacedImage, graph: Graph) -> Any:
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
    always = stamp.start <= 0 and stamp.end >= graph.frames
    options = {} if always else {"enable": graph.shown([(stamp.start, stamp.end)])}
    return ffmpeg.overlay(stream, picture, x=stamp.place[0], y=stamp.place[1], eof_action="repeat", **options)
