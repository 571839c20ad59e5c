"""The script as a client writes it: JSON objects, typed for editors. docs/script.md says what each member does."""

from __future__ import annotations

from typing import Literal, Required, TypeAlias, TypedDict

Fit: TypeAlias = Literal["cover", "contain", "blur"]
Motion: TypeAlias = Literal["none", "zoom_in", "zoom_out", "pan_left", "pan_right", "pan_up", "pan_down"]
TransitionType: TypeAlias = Literal[
    "cut", "crossfade", "fade_black", "fade_white", "slide_left", "slide_right", "slide_up", "slide_down",
    "wipe_left", "wipe_right", "circle_open", "zoom",
]  # fmt: skip
Role: TypeAlias = Literal["title", "subtitle", "lower_third", "quote", "label"]
Animation: TypeAlias = Literal["none", "fade", "rise", "type"]
Corner: TypeAlias = Literal[
    "top_left", "top", "top_right", "left", "center", "right", "bottom_left", "bottom", "bottom_right"
]


class VoiceSetting(TypedDict, total=False):
    """Who speaks: a name from `voices.list`, or `none`; `speed` from 0.5 to 2."""

    name: str
    speed: float


class Transition(TypedDict, total=False):
    """How a scene comes in after the one before it. `duration` is in seconds."""

    type: Required[TransitionType]
    duration: float


class Defaults(TypedDict, total=False):
    """What holds for scenes that do not say otherwise."""

    voice: VoiceSetting
    transition: Transition
    motion: Motion
    fit: Fit
    pad_before: float
    pad_after: float
    silent_duration: float


class Captions(TypedDict, total=False):
    """The captions: `words` highlights each word as it is spoken."""

    style: Literal["none", "lines", "words"]
    position: Literal["bottom", "middle", "top"]


class Music(TypedDict, total=False):
    """Music under the whole video. `duck` lowers it while someone speaks."""

    src: Required[str]
    volume: float
    duck: bool
    fade_in: float
    fade_out: float


class Text(TypedDict, total=False):
    """A text on a scene, from `start` to `end` seconds of it."""

    text: Required[str]
    role: Role
    start: float
    end: float
    animation: Animation


class TextOverlay(Text, total=False):
    """A text over the whole video."""

    type: Literal["text"]


class ImageOverlay(TypedDict, total=False):
    """A picture, such as a logo, over the whole video. `width` is a share of the video's width."""

    type: Required[Literal["image"]]
    src: Required[str]
    position: Corner
    width: float
    opacity: float
    start: float
    end: float


class Narration(TypedDict, total=False):
    """What is said: `text` is spoken, or is the caption of the voice-over at `src`."""

    text: str
    voice: VoiceSetting
    src: str


class ColorVisual(TypedDict):
    """A plain colour, `#rrggbb`."""

    type: Literal["color"]
    colors: list[str]


class GradientVisual(TypedDict):
    """Two to four colours that run into each other."""

    type: Literal["gradient"]
    colors: list[str]


class Bar(TypedDict):
    """A bar of a chart."""

    label: str
    value: float | str


class ChartVisual(TypedDict, total=False):
    """A bar chart."""

    type: Required[Literal["chart"]]
    bars: Required[list[Bar]]
    title: str
    unit: str
    highlight: str


class ImageVisual(TypedDict, total=False):
    """A picture: `src` is `asset:ID` or an https URL."""

    type: Required[Literal["image"]]
    src: Required[str]
    fit: Fit
    motion: Motion
    fallback: Visual


class VideoVisual(TypedDict, total=False):
    """A clip: `src` is `asset:ID` or an https URL, from `start` seconds on."""

    type: Required[Literal["video"]]
    src: Required[str]
    start: float
    speed: float
    volume: float
    when_short: Literal["loop", "freeze", "slow"]
    fit: Fit
    motion: Motion
    fallback: Visual


class StockVisual(TypedDict, total=False):
    """The best match for `query` at the stock provider."""

    type: Required[Literal["stock"]]
    query: Required[str]
    kind: Literal["photo", "clip"]
    fit: Fit
    motion: Motion
    fallback: Visual


class GeneratedVisual(TypedDict, total=False):
    """A picture that an image model makes of `prompt`."""

    type: Required[Literal["generated"]]
    prompt: Required[str]
    fit: Fit
    motion: Motion
    fallback: Visual


Visual: TypeAlias = (
    ColorVisual | GradientVisual | ChartVisual | ImageVisual | VideoVisual | StockVisual | GeneratedVisual
)


class Scene(TypedDict, total=False):
    """A scene: what is said, shown and written. `duration` is in seconds, at least as long as it speaks."""

    id: str
    narration: str | Narration
    visual: Visual
    text: list[Text]
    duration: float | str
    transition: Transition
    pad_before: float
    pad_after: float
    silent_duration: float
    enabled: bool


class Script(TypedDict, total=False):
    """A script: the scenes of a video, and what holds for all of them. `{{name}}` stands for a variable."""

    scenes: Required[list[Scene]]
    title: str
    language: str
    theme: str
    variables: dict[str, str | float]
    defaults: Defaults
    captions: Captions
    music: Music
    overlays: list[TextOverlay | ImageOverlay]
