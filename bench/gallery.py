"""Draw the contact sheets from which people choose: `python bench/gallery.py [FOLDER]` writes docs/images/gallery-*.jpg.

Every frame is rendered as a job would render it, by the code that does so.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "examples")]

import numpy as np  # noqa: E402  (the lines above make the rest importable)
import reef_pictures  # noqa: E402
from PIL import Image, ImageDraw, ImageFont  # noqa: E402

from shared.media import probing  # noqa: E402
from shared.processes import ffmpeg  # noqa: E402
from shared.script import timeline  # noqa: E402
from shared.script.values import (  # noqa: E402
    Animation,
    Bar,
    CaptionPosition,
    Captions,
    Fit,
    Motion,
    Narration,
    Output,
    Scene,
    Script,
    Text,
    Transition,
    TransitionType,
    Visual,
)  # fmt: skip
from shared.themes import theme_names  # noqa: E402
from tasks.video.captions.cues import Cue, CueWord  # noqa: E402
from tasks.video.picture import segment_rendering  # noqa: E402
from tasks.video.picture.text import fonts  # noqa: E402
from tasks.video.plan import segments  # noqa: E402
from tasks.video.plan.cache_keys import renderer_versions  # noqa: E402
from tasks.video.plan.values import Source  # noqa: E402

TILE = (448, 252)
GAP, LABEL = 10, 26
HD = Output(resolution="720p", fps=25)
WORDS = ("Coral grows a", "centimetre a year.")
TITLE = {
    "en": "How a reef is born",
    "el": "Πώς γεννιέται ένας ύφαλος",
    "ru": "Как рождается риф",
    "zh": "珊瑚礁是如何诞生的",
    "ja": "サンゴ礁はこうして生まれる",
    "ko": "산호초는 어떻게 태어나는가",
    "ar": "كيف تولد الشعاب المرجانية",
    "he": "כך נולדת שונית אלמוגים",
    "hi": "प्रवाल भित्ति कैसे जन्म लेती है",
    "th": "แนวปะการังเกิดขึ้นได้อย่างไร",
    "ta": "பவளப்பாறை எப்படி பிறக்கிறது",
    "emoji": "🐠 🐙 🌊 🤿 🪸",
}
TITLES = (Text("How a reef is born"), Text("A story of patience", "subtitle"), Text("Day 1", "label"))


@dataclass
class Studio:
    """Renders scripts of the pictures in its folder."""

    folder: Path
    files: dict[str, Path]
    made: int = 0

    def frame(
        self,
        script: Script,
        part: float,
        *,
        segment: int = 0,
        output: Output = HD,
        cues: tuple[Cue, ...] = (),
    ) -> Image.Image:
        """Return one frame of a segment of the script, at a part of its length."""
        sources = {src: Source(src, str(path), probing.probe(path)) for src, path in self.files.items()}
        plan = timeline.plan_timeline(script, {}, output.fps)
        found = segments.plan_segments(
            plan, script, output, sources, cues, account="gallery", versions=renderer_versions()
        )[segment]
        self.made += 1
        work = self.folder / str(self.made)
        work.mkdir()
        segment_rendering.render_segment(found.spec, work / "segment.mp4", work=work, locate=Path)
        number = min(int(part * found.frames), found.frames - 1)
        argv = ffmpeg.command(
            "-i", "file:segment.mp4", "-vf", f"select=eq(n\\,{number}),scale=in_range=tv:out_range=pc",
            "-frames:v", "1", "-pix_fmt", "rgb24", "-update", "1", "file:frame.png",
        )  # fmt: skip
        ffmpeg.run(argv, cwd=work)
        with Image.open(work / "frame.png") as image:
            return image.convert("RGB")


def picture(name: str, **fields: Any) -> Visual:
    """Return the visual of a picture."""
    return Visual("image", src=name, **fields)


def one(scene: Scene, **fields: Any) -> Script:
    """Return a script of one scene without captions, unless it says which."""
    return Script((scene,), **{"captions": Captions("none"), **fields})


def themes(studio: Studio) -> list[tuple[str, Image.Image]]:
    """Render each theme over a picture, and on its own background."""
    quote = (Text("The sea, once it casts its spell, holds one in its net of wonder forever.", "quote"),)
    found = []
    for name in theme_names():
        over = one(Scene("s", visual=picture("larva"), text=TITLES, duration=0.2), theme=name)
        plain = one(Scene("s", text=quote, duration=0.2), theme=name)
        found += [(name, studio.frame(over, 0)), (f"{name}, background", studio.frame(plain, 0))]
    return found


def transitions(studio: Studio) -> list[tuple[str, Image.Image]]:
    """Render each transition at a third and at two thirds."""
    found = []
    for kind in get_args(TransitionType)[1:]:
        scenes = (
            Scene("a", visual=picture("colony"), duration=1),
            Scene("b", visual=picture("thicket"), duration=1, transition=Transition(kind, 0.48)),
        )
        found += [(kind, studio.frame(Script(scenes), part, segment=1)) for part in (0.34, 0.67)]
    return found


def roles(studio: Studio) -> list[tuple[str, Image.Image]]:
    """Render each role, and each animation on its way."""
    samples = {
        "title": "How a reef is born", "subtitle": "A story of patience", "lower_third": "Dr. Ada Corall\nMarine biologist",
        "quote": "The sea, once it casts its spell, holds one in its net of wonder forever.", "label": "Day 1",
    }  # fmt: skip
    found = []
    for role, words in samples.items():
        text = Text(words, role)  # type: ignore[arg-type]
        found.append(
            (role, studio.frame(one(Scene("s", visual=picture("colony"), text=(text,), duration=0.2)), 0))
        )
    for animation in get_args(Animation)[1:]:
        text = Text("How a reef is born", animation=animation)
        scene = Scene("s", visual=picture("colony"), text=(text,), duration=2)
        found += [(f"{animation}, {part:g} s", studio.frame(one(scene), part / 2)) for part in (0.12, 0.36)]
    return [*found, ("together, over captions", together(studio))]


def together(studio: Studio) -> Image.Image:
    """Render all that can be on a picture at once: each makes way for the others."""
    texts = (*TITLES, Text("Dr. Ada Corall\nMarine biologist", "lower_third"))
    scene = Scene("s", Narration(" ".join(WORDS)), visual=picture("colony"), text=texts, duration=0.4)
    cue = Cue(0.0, 0.4, WORDS, ())
    return studio.frame(one(scene, captions=Captions("lines")), 0.45, cues=(cue,))


def captions(studio: Studio) -> list[tuple[str, Image.Image]]:
    """Render each caption style and position."""
    spoken = [(word, line) for line, text in enumerate(WORDS) for word in text.split()]
    words = tuple(
        CueWord(word, 0.04 * index, 0.04 * index + 0.04, line) for index, (word, line) in enumerate(spoken)
    )
    cue = Cue(0.0, 0.4, WORDS, words)
    found = []
    for style in ("lines", "words"):
        for position in get_args(CaptionPosition):
            script = one(
                Scene("s", visual=picture("thicket"), duration=0.4), captions=Captions(style, position)
            )
            found.append((f"{style}, {position}", studio.frame(script, 0.45, cues=(cue,))))
    return found


def visuals(studio: Studio) -> list[tuple[str, Image.Image]]:
    """Render each kind of visual, fit and motion."""
    shown = {
        "color": Visual("color", colors=("#1b6ca8",)),
        "gradient": Visual("gradient", colors=("#0d1b2a", "#1b6ca8", "#9be0d0")),
        "chart": Visual(
            "chart",
            title="Electricity by source",
            unit="%",
            highlight="Wind",
            bars=tuple(
                Bar(*each) for each in (("Nuclear", 23.7), ("Wind", 17.4), ("Gas", 15.7), ("Solar", 11.1))
            ),
        ),
        **{f"portrait, {fit}": picture("portrait", fit=fit) for fit in get_args(Fit)},
    }
    found = [
        (name, studio.frame(one(Scene("s", visual=visual, duration=1.5)), 0.99))
        for name, visual in shown.items()
    ]
    for motion in get_args(Motion)[1:]:
        scene = Scene("s", visual=picture("larva", motion=motion), duration=1)
        first, last = (np.asarray(studio.frame(one(scene), part)) for part in (0, 0.99))
        half = first.shape[1] // 2
        found.append(
            (f"{motion}, first | last", Image.fromarray(np.hstack([first[:, :half], last[:, half:]])))
        )
    return found


def scripts(studio: Studio) -> list[tuple[str, Image.Image]]:
    """Render the same title in languages that need fonts of their own."""
    return [
        (name, studio.frame(one(Scene("s", visual=picture("larva"), text=(Text(words),), duration=0.2), language=name), 0))
        for name, words in TITLE.items()
    ]  # fmt: skip


def sheet(tiles: list[tuple[str, Image.Image]], columns: int) -> Image.Image:
    """Lay named pictures out in rows."""
    rows = -(-len(tiles) // columns)
    across, down = TILE[0] + GAP, TILE[1] + LABEL + GAP
    whole = Image.new("RGB", (columns * across + GAP, rows * down + GAP), "#f4f5f7")
    pen = ImageDraw.Draw(whole)
    face = ImageFont.truetype(str(fonts.font_file("Inter")), 16)
    for index, (name, image) in enumerate(tiles):
        left, top = GAP + index % columns * across, GAP + index // columns * down
        whole.paste(image.resize(TILE, Image.Resampling.LANCZOS), (left, top))
        pen.text((left + 2, top + TILE[1] + 4), name, fill="#1f2937", font=face)
    return whole


SHEETS = {
    "themes": (themes, 4), "transitions": (transitions, 4), "text": (roles, 4), "captions": (captions, 3),
    "visuals": (visuals, 4), "scripts": (scripts, 4),
}  # fmt: skip


def main(target: Path) -> None:
    """Draw every sheet."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {}
        for drawn in ("larva", "colony", "thicket"):
            files[drawn] = folder / f"{drawn}.jpg"
            reef_pictures.PICTURES[f"{drawn}.jpg"]().convert("RGB").save(files[drawn], quality=92)
        files["portrait"] = folder / "portrait.jpg"
        with Image.open(files["colony"]) as colony:
            wide = colony.height * 3 // 4
            colony.crop(((colony.width - wide) // 2, 0, (colony.width + wide) // 2, colony.height)).save(
                files["portrait"]
            )
        studio = Studio(folder, files)
        for sheet_name, (draw, columns) in SHEETS.items():
            sheet(draw(studio), columns).save(target / f"gallery-{sheet_name}.jpg", quality=84)
            print(target / f"gallery-{sheet_name}.jpg", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images")
