"""The script as dataclasses: validated and resolved, with every default filled in. Times are in seconds.

`shared.script.schema.script` makes them from JSON; planning and rendering read them. They have no I/O and no
validation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Fit = Literal["cover", "contain", "blur"]
Motion = Literal["none", "zoom_in", "zoom_out", "pan_left", "pan_right", "pan_up", "pan_down"]
WhenShort = Literal["loop", "freeze", "slow"]
StockKind = Literal["photo", "clip"]
Role = Literal["title", "subtitle", "lower_third", "quote", "label"]
Animation = Literal["none", "fade", "rise", "type"]
CaptionStyle = Literal["none", "lines", "words"]
CaptionPosition = Literal["bottom", "middle", "top"]
Corner = Literal[
    "top_left", "top", "top_right", "left", "center", "right", "bottom_left", "bottom", "bottom_right"
]
TransitionType = Literal[
    "cut", "crossfade", "fade_black", "fade_white", "slide_left", "slide_right", "slide_up", "slide_down",
    "wipe_left", "wipe_right", "circle_open", "zoom",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks. `name` None is the language's default voice, "none" is silence."""

    name: str | None = None
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class Narration:
    """What is said. With `src` ("asset:ID" or an https URL) the client's own recording plays, and `text` captions it."""

    text: str = ""
    voice: Voice = Voice()
    src: str | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a chart."""

    label: str
    value: float


@dataclass(frozen=True, slots=True)
class Visual:
    """What a scene shows. Fields that its `type` does not use keep their default."""

    type: Literal["color", "gradient", "chart", "image", "video", "stock", "generated"]
    colors: tuple[str, ...] = ()  # "#rrggbb": one for color, two to four for gradient
    src: str | None = None  # "asset:ID" or an https URL: image, video
    query: str | None = None  # stock
    kind: StockKind | None = None  # stock; None: the kinds in the settings
    prompt: str | None = None  # generated
    fit: Fit = "cover"
    motion: Motion = "none"
    start: float = 0.0  # video: seconds into the clip
    speed: float = 1.0  # video
    volume: float = 0.0  # video: 0 to 1
    when_short: WhenShort = "loop"  # video
    bars: tuple[Bar, ...] = ()  # chart
    title: str = ""  # chart
    unit: str = ""  # chart: the unit of the values
    highlight: str = ""  # chart: the label of the bar to highlight
    fallback: Visual | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """Text on the picture. Seconds count from the start of the scene (of the video, in an overlay); `end` None: to its end."""

    text: str
    role: Role = "title"
    start: float = 0.0
    end: float | None = None
    animation: Animation = "none"


@dataclass(frozen=True, slots=True)
class ImageOverlay:
    """A picture over the whole video, such as a logo. `width` is a fraction (0 to 1) of the frame's width."""

    src: str
    position: Corner = "top_right"
    width: float = 0.12
    opacity: float = 1.0
    start: float = 0.0
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """The transition INTO a scene. A cut has no duration."""

    type: TransitionType = "cut"
    duration: float = 0.0


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene, with the script's defaults and variables filled in. `visual` None: the theme's background."""

    id: str
    narration: Narration | None = None
    visual: Visual | None = None
    text: tuple[Text, ...] = ()
    duration: float | None = None
    transition: Transition = Transition()
    pad_before: float = 0.2
    pad_after: float = 0.4
    silent_duration: float = 4.0


@dataclass(frozen=True, slots=True)
class Captions:
    """How captions look and where they are."""

    style: CaptionStyle = "lines"
    position: CaptionPosition = "bottom"


@dataclass(frozen=True, slots=True)
class Music:
    """Music under the whole video, looped or cut to its length. Fades are in seconds."""

    src: str
    volume: float = 0.4
    duck: bool = True
    fade_in: float = 0.0
    fade_out: float = 2.0


@dataclass(frozen=True, slots=True)
class Script:
    """A whole script: only enabled scenes, each with an id."""

    scenes: tuple[Scene, ...]
    title: str = ""
    language: str = "en"
    theme: str = "slate"
    captions: Captions = Captions()
    music: Music | None = None
    overlays: tuple[Text | ImageOverlay, ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """How the video is encoded."""

    aspect: str = "16:9"
    resolution: str = "1080p"
    fps: int = 30
    quality: Literal["draft", "standard", "high"] = "standard"
    formats: tuple[str, ...] = ("mp4",)
    sidecars: tuple[str, ...] = ("srt", "vtt", "poster")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels: the resolution is the short side; both are rounded to even numbers."""
        across, down = (int(part) for part in self.aspect.split(":"))
        short = int(self.resolution.removesuffix("p"))
        long = round(short * max(across, down) / min(across, down) / 2) * 2
        return (long, short) if across >= down else (short, long)


@dataclass(frozen=True, slots=True)
class Brief:
    """What a script is to be written about: a `topic` or a `source_text`. `duration` is in seconds."""

    topic: str | None = None
    source_text: str | None = None
    audience: str | None = None
    tone: str | None = None
    language: str = "en"
    duration: float | None = None
    scenes: int | None = None
    style: str | None = None
    keywords: tuple[str, ...] = field(default=())
