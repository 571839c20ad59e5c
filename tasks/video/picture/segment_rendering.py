"""Renders a segment: makes its frames and files, runs one ffmpeg over them, and looks at what came out."""

from __future__ import annotations

import logging
import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import cv2

from shared.errors import RenderFailed, Unavailable
from shared.processes import ffmpeg as process
from tasks.video.picture import (
    clips,
    encoder_choice,
    encoding,
    filter_graph,
    frames,
    image_overlays,
    images,
    mp4_facts,
    transitions,
)
from tasks.video.picture.elements import chart
from tasks.video.picture.text import ass, caption_events, fonts, static_spans
from tasks.video.picture.text import typesetting as text
from tasks.video.picture.text.canvas import Canvas

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

log = logging.getLogger(__name__)

MISSING_GLYPH = re.compile(r"failed to find any fallback with glyph 0x([0-9A-Fa-f]+)")


def render_segment(  # noqa: PLR0913  (what a worker knows)
    spec: Mapping[str, Any],
    target: Path,
    *,
    work: Path,
    locate: Callable[[str], Path],
    on_progress: Callable[[int], None] | None = None,
    stop: Callable[[], bool] | None = None,
    ffmpeg: str | None = None,
    limits: process.Limits | None = None,
) -> tuple[str, ...]:
    """Write exactly the spec's frames to the target and return warnings for the client.

    Raise RenderFailed, RenderTimeout, StorageFull, AssetUnreadable or Stopped. `on_progress` gets the frames done.
    """
    size = (spec["size"][0], spec["size"][1])
    encoder = spec.get("encoder", encoding.SOFTWARE)
    if encoder != encoding.SOFTWARE and encoder_choice.choose_encoder(encoder, ffmpeg) != encoder:
        raise Unavailable("This worker lacks the encoder that the video began with.")
    cv2.setNumThreads(1)  # a worker's processes share the cores already
    place = images.Workplace(work, ffmpeg, stop)
    layers, made = _make_layers(spec, size, place, locate)
    if spec.get("transition") in transitions.MASKED:
        made.append(transitions.Mask(spec["transition"], spec["frames"]))
    still = not frames.has_motion(made)
    plan = filter_graph.Graph(
        size=size,
        fps=spec["fps"],
        frames=spec["frames"],
        layers=layers,
        still=still,
        transition=spec.get("transition"),
        over=_draw_overlays(spec, size, place, locate),
        encoding={
            **encoding.encoder_options(size, spec["fps"], spec["quality"], encoder),
            **(
                process.INPUT_FRAME_STATS if ffmpeg is None else {}
            ),  # one that is named may be too old for that
        },
        upload=encoding.UPLOADS.get(encoder),
    )
    completed = process.run(
        process.command(
            *encoding.device_options(encoder),
            *filter_graph.build_arguments(plan, f"file:{target}"),
            ffmpeg=ffmpeg,
        ),
        cwd=work,
        limits=limits,
        on_progress=None
        if on_progress is None
        else lambda progress: on_progress(count_frames_done(progress)),
        stop=stop,
        stdin=frames.stream_frames(made, size, 1 if still else spec["frames"]) if made else None,
        env={"FONTCONFIG_FILE": str(fonts.fontconfig_file())},
    )
    verify(target, size, spec["fps"], spec["frames"])
    return _missing_glyph_warnings(completed.stderr)


def count_frames_done(progress: process.Progress) -> int:
    """Return how many frames' worth of work is done: to encode what was drawn is half of it, as far as anyone knows."""
    return (max(progress.taken, progress.frame) + progress.frame) // 2


def _make_layers(
    spec: Mapping[str, Any],
    size: tuple[int, int],
    place: images.Workplace,
    locate: Callable[[str], Path],
) -> tuple[list[filter_graph.Layer], list[frames.FrameSource]]:
    """Return the graph's layers, and what this process makes for them."""
    layers: list[filter_graph.Layer] = []
    made: list[frames.FrameSource] = []
    for number, layer in enumerate(spec["layers"]):
        visual = layer["visual"]
        written = chart.draw_chart(visual, _canvas(spec)) if "chart" in visual else []
        written += text.draw_texts(layer.get("text", ()), spec.get("styles", {}), _canvas(spec), layer=1)
        words = _write_subtitles(written, f"layer{number}.ass", spec, place.folder)
        source = spec["sources"].get(visual.get("source"))
        path = locate(source["storage_key"]) if source else None
        if visual["kind"] == "video" and path is not None:
            layers.append(
                filter_graph.Layer(clip=clips.clip_from_spec(visual, source["media"], str(path)), words=words)
            )
        else:
            layers.append(filter_graph.Layer(made=len(made), words=words))
            made.append(frames.make_layer(visual, path, size, place))
    return layers, made


def _draw_overlays(
    spec: Mapping[str, Any],
    size: tuple[int, int],
    place: images.Workplace,
    locate: Callable[[str], Path],
) -> list[str | filter_graph.StaticSubtitles | filter_graph.PlacedImage]:
    """Return what lies over all layers: overlays in their order, captions on top."""
    over: list[str | filter_graph.StaticSubtitles | filter_graph.PlacedImage] = []
    pending: list[ass.Event] = []
    for number, item in enumerate(spec.get("overlays", ())):
        if "source" not in item:
            pending += text.draw_texts([item], spec["styles"], _canvas(spec), layer=4 * number)
            continue
        if pending:
            over += _write_subtitles(pending, f"under{number}.ass", spec, place.folder)
            pending = []
        path = locate(spec["sources"][item["source"]]["storage_key"])
        over.append(image_overlays.prepare_overlay(item, path, size, f"stamp{number}.rgba", place))
    if "captions" in spec:
        pending += caption_events.draw_captions(spec["captions"], spec["caption_style"], _canvas(spec))
    return [*over, *_write_subtitles(pending, "over.ass", spec, place.folder)]


def _write_subtitles(
    events: Sequence[ass.Event], name: str, spec: Mapping[str, Any], work: Path
) -> list[str | filter_graph.StaticSubtitles]:
    """Write subtitle files, which the graph reads in ffmpeg's own folder: one of what stays, one of what moves."""

    def document(name: str, events: Sequence[ass.Event]) -> str:
        text = ass.to_document(events, (spec["size"][0], spec["size"][1]), spec["fps"])
        (work / name).write_text(text, encoding="utf-8")
        return name

    spans = static_spans.find_static_spans(events, spec["frames"])
    moving = static_spans.cut_out(events, spans)
    words: list[str | filter_graph.StaticSubtitles] = (
        [filter_graph.StaticSubtitles(document(f"lasting-{name}", events), spans)] if spans else []
    )
    return [*words, document(name, moving)] if moving else words


def _canvas(spec: Mapping[str, Any]) -> Canvas:
    width, height = spec["size"]
    return Canvas(width, height, spec["fps"], spec["frames"], spec.get("language", "en"))


def verify(path: Path, size: tuple[int, int], fps: int, wanted: int) -> None:
    """Raise RenderFailed unless the file holds exactly the planned frames: an exit code is no verdict."""
    try:
        found = mp4_facts.read_video_track(path)
    except ValueError as error:
        raise RenderFailed("The picture was not made as planned.") from error
    planned = mp4_facts.VideoTrack(*size, wanted, Fraction(fps), complete=True)
    if found != planned:
        log.error("segment_differs", extra={"found": str(found), "planned": str(planned)})
        raise RenderFailed("The picture was not made as planned.")


def _missing_glyph_warnings(said: str) -> tuple[str, ...]:
    """Return a sentence for each character that no font can draw."""
    codes = sorted({int(code, 16) for code in MISSING_GLYPH.findall(said)})
    return tuple(f"No font can draw the character U+{code:04X} ({chr(code)})." for code in codes)
