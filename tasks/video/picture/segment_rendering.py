"""Renders a segment from its spec: paints frames, writes subtitle files, runs one ffmpeg, and verifies the result."""

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


def render_segment(  # noqa: PLR0913  (a segment and a worker's means)
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
    """Write exactly the spec's frames to `target`, and return warnings for the job's result.

    `locate` returns the local path of a storage key; `on_progress` gets the number of frames done. Raise RenderFailed,
    RenderTimeout, StorageFull, AssetUnreadable, Unavailable (no such encoder here) or Stopped.
    """
    size = (spec["size"][0], spec["size"][1])
    encoder = spec.get("encoder", encoding.SOFTWARE)
    if encoder != encoding.SOFTWARE and encoder_choice.choose_encoder(encoder, ffmpeg) != encoder:
        raise Unavailable(
            "This worker lacks the encoder that the video's other segments were encoded with. The job is retried."
        )
    cv2.setNumThreads(
        1
    )  # the pool's processes already use all cores; OpenCV's threads would compete with them
    workspace = images.ImageWorkspace(work, ffmpeg, stop)
    layers, painted = _make_layers(spec, size, workspace, locate)
    if spec.get("transition") in transitions.MASKED:
        painted.append(transitions.Mask(spec["transition"], spec["frames"]))
    still = not frames.has_motion(painted)
    plan = filter_graph.Graph(
        size=size,
        fps=spec["fps"],
        frames=spec["frames"],
        layers=layers,
        still=still,
        transition=spec.get("transition"),
        overlays=_draw_overlays(spec, size, workspace, locate),
        encoding={
            **encoding.encoder_options(size, spec["fps"], spec["quality"], encoder),
            **(
                process.INPUT_FRAME_STATS if ffmpeg is None else {}
            ),  # an ffmpeg named in the settings may be too old for this option
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
        stdin=frames.stream_frames(painted, size, 1 if still else spec["frames"]) if painted else None,
        # Without it libass would use the machine's fonts, and workers would draw different glyphs.
        env={"FONTCONFIG_FILE": str(fonts.fontconfig_file())},
    )
    verify(target, size, spec["fps"], spec["frames"])
    return _missing_glyph_warnings(completed.stderr)


def count_frames_done(progress: process.Progress) -> int:
    """Return the progress in frames: a frame that is read counts half, an encoded one in full."""
    return (max(progress.taken, progress.frame) + progress.frame) // 2


def _make_layers(
    spec: Mapping[str, Any],
    size: tuple[int, int],
    workspace: images.ImageWorkspace,
    locate: Callable[[str], Path],
) -> tuple[list[filter_graph.Layer], list[frames.FrameSource]]:
    """Return the graph's layers, and the layers that this process paints."""
    layers: list[filter_graph.Layer] = []
    painted: list[frames.FrameSource] = []
    for number, layer in enumerate(spec["layers"]):
        visual = layer["visual"]
        events = chart.draw_chart(visual, _canvas(spec)) if "chart" in visual else []
        events += text.draw_texts(layer.get("text", ()), spec.get("styles", {}), _canvas(spec), layer=1)
        subtitles = _write_subtitles(events, f"layer{number}.ass", spec, workspace.folder)
        source = spec["sources"].get(visual.get("source"))
        path = locate(source["storage_key"]) if source else None
        if visual["kind"] == "video" and path is not None:
            layers.append(
                filter_graph.Layer(
                    clip=clips.clip_from_spec(visual, source["media"], str(path)), subtitles=subtitles
                )
            )
        else:
            layers.append(filter_graph.Layer(stdin_index=len(painted), subtitles=subtitles))
            painted.append(frames.make_layer(visual, path, size, workspace))
    return layers, painted


def _draw_overlays(
    spec: Mapping[str, Any],
    size: tuple[int, int],
    workspace: images.ImageWorkspace,
    locate: Callable[[str], Path],
) -> list[str | filter_graph.StaticSubtitles | filter_graph.PlacedImage]:
    """Return what is drawn over all layers: overlays in their order, captions on top."""
    overlays: list[str | filter_graph.StaticSubtitles | filter_graph.PlacedImage] = []
    pending: list[ass.Event] = []
    for number, item in enumerate(spec.get("overlays", ())):
        if "source" not in item:
            pending += text.draw_texts([item], spec["styles"], _canvas(spec), layer=4 * number)
            continue
        if pending:
            overlays += _write_subtitles(pending, f"under{number}.ass", spec, workspace.folder)
            pending = []
        path = locate(spec["sources"][item["source"]]["storage_key"])
        overlays.append(image_overlays.prepare_overlay(item, path, size, f"stamp{number}.rgba", workspace))
    if "captions" in spec:
        pending += caption_events.draw_captions(spec["captions"], spec["caption_style"], _canvas(spec))
    return [*overlays, *_write_subtitles(pending, "over.ass", spec, workspace.folder)]


def _write_subtitles(
    events: Sequence[ass.Event], name: str, spec: Mapping[str, Any], work: Path
) -> list[str | filter_graph.StaticSubtitles]:
    """Write the events as up to two subtitle files in ffmpeg's working folder: one of static spans, one of the rest."""

    def document(name: str, events: Sequence[ass.Event]) -> str:
        text = ass.to_document(events, (spec["size"][0], spec["size"][1]), spec["fps"])
        (work / name).write_text(text, encoding="utf-8")
        return name

    spans = static_spans.find_static_spans(events, spec["frames"])
    moving = static_spans.cut_out(events, spans)
    files: list[str | filter_graph.StaticSubtitles] = (
        [filter_graph.StaticSubtitles(document(f"lasting-{name}", events), spans)] if spans else []
    )
    return [*files, document(name, moving)] if moving else files


def _canvas(spec: Mapping[str, Any]) -> Canvas:
    width, height = spec["size"]
    return Canvas(width, height, spec["fps"], spec["frames"], spec.get("language", "en"))


def verify(path: Path, size: tuple[int, int], fps: int, frame_count: int) -> None:
    """Raise RenderFailed unless the file has exactly the planned frames; ffmpeg may exit with 0 after writing fewer."""
    try:
        track = mp4_facts.read_video_track(path)
    except ValueError as error:
        raise RenderFailed("The rendered segment does not have the planned frames.") from error
    planned = mp4_facts.VideoTrack(*size, frame_count, Fraction(fps), complete=True)
    if track != planned:
        log.error("segment_differs", extra={"found": str(track), "planned": str(planned)})
        raise RenderFailed("The rendered segment does not have the planned frames.")


def _missing_glyph_warnings(stderr: str) -> tuple[str, ...]:
    """Return a warning for each character that no font can draw, from libass's messages on stderr."""
    codes = sorted({int(code, 16) for code in MISSING_GLYPH.findall(stderr)})
    return tuple(f"No font can draw the character U+{code:04X} ({chr(code)})." for code in codes)
