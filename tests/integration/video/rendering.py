"""Makes media with ffmpeg and Pillow, renders scripts of them, and reads the frames back."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from shared.media import probing
from shared.processes.ffmpeg import Limits, command, run
from shared.script import timeline
from shared.script.values import Output, Scene, Script
from tasks.video.picture import encoding, segment_rendering
from tasks.video.plan import segments
from tasks.video.plan.cache_keys import renderer_versions
from tasks.video.plan.values import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from fractions import Fraction

    from tasks.video.captions.cues import Cue

SMALL = Output(resolution="360p", fps=25)


def make(folder: Path, name: str, *arguments: str) -> Path:
    """Run ffmpeg to make a file."""
    run(command(*arguments, f"file:{folder / name}"), cwd=folder, limits=Limits(wall=60))
    return folder / name


@dataclass
class Video:
    """A script's rendered segments."""

    timeline: timeline.Timeline
    segments: tuple[segments.SegmentPlan, ...]
    files: list[Path]
    warnings: list[str]

    def frames(self, *, rgb: bool = False) -> list[np.ndarray]:
        """Return every frame of every segment in order, as luma or as RGB."""
        return [frame for path in self.files for frame in read(path, rgb=rgb)]


def read(path: Path, *, rgb: bool = False) -> list[np.ndarray]:
    """Return the frames of a file, as luma or as RGB."""
    with av.open(str(path)) as file:
        if rgb:
            return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
        return [frame.to_ndarray(format="yuv420p")[: frame.height] for frame in file.decode(video=0)]


def render_script(
    folder: Path,
    script: Script,
    files: Mapping[str, Path] | None = None,
    *,
    output: Output = SMALL,
    narration: Mapping[str, Fraction] | None = None,
    cues: Sequence[Cue] = (),
    encoder: str = encoding.SOFTWARE,
    before: Callable[[Path], None] | None = None,
    **options: Any,
) -> Video:
    """Render every segment of a script whose `src`s are the given files."""
    sources = {src: Source(src, str(path), probing.probe(path)) for src, path in (files or {}).items()}
    plan = timeline.plan_timeline(script, narration or {}, output.fps)
    found = segments.plan_segments(
        plan, script, output, sources, cues, account="me", versions=renderer_versions(), encoder=encoder
    )
    made, warnings = [], []
    for segment in found:
        work = folder / f"work{segment.index}"
        work.mkdir(parents=True)
        target = folder / f"{segment.index:03d}.mp4"
        if before:
            before(work)
        warnings += segment_rendering.render_segment(segment.spec, target, work=work, locate=Path, **options)
        shutil.rmtree(work)
        made.append(target)
    return Video(plan, found, made, warnings)


def show(folder: Path, visual: Any, files: Mapping[str, Path] | None = None, **fields: Any) -> Video:
    """Render one scene of a fifth of a second."""
    output = fields.pop("output", SMALL)
    options = {**fields.pop("options", {}), "before": fields.pop("before", None)}
    scene = Scene("s", visual=visual, duration=fields.pop("duration", 0.2), text=fields.pop("text", ()))
    return render_script(folder, Script((scene,), **fields), files, output=output, **options)


BITS = 12
WIDTH, HEIGHT = 640, 360


def numbered(frame: int, *, top: bool) -> np.ndarray:
    """A picture that says its number: black and white bars in one half, grey in the other."""
    picture = np.full((HEIGHT, WIDTH), 126, np.uint8)
    half = picture[: HEIGHT // 2] if top else picture[HEIGHT // 2 :]
    for bit in range(BITS):
        left, right = (WIDTH * edge // BITS for edge in (bit, bit + 1))
        half[:, left:right] = 235 if frame >> bit & 1 else 16
    return picture


def number(luma: np.ndarray, *, top: bool) -> tuple[int, float]:
    """Read a picture's number, and how far its bars stand off from grey."""
    half = luma[20 : HEIGHT // 2 - 20] if top else luma[HEIGHT // 2 + 20 : HEIGHT - 20]
    bars = [
        half[:, WIDTH * bit // BITS + 12 : WIDTH * (bit + 1) // BITS - 12].mean() - 126 for bit in range(BITS)
    ]
    return sum((bar > 0) << bit for bit, bar in enumerate(bars)), float(min(abs(bar) for bar in bars))
