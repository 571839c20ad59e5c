"""The schemas of visuals, one for each type, so that a member of another type is unknown."""

from __future__ import annotations

from typing import Any, get_args

from marshmallow import post_load

from shared.script.schema.containers import DiscriminatedObject, StrictList, StrictObject
from shared.script.schema.fields import Choice, PatternString, StrictNumber, StrictString
from shared.script.schema.loading import StrictSchema
from shared.script.schema.sources import SourceField
from shared.script.values import Bar, Fit, Motion, StockKind, WhenShort

FIT = get_args(Fit)
MOTION = get_args(Motion)
WHEN_SHORT = get_args(WhenShort)
STOCK_KINDS = get_args(StockKind)


class ColorField(PatternString):
    """A colour as `#rrggbb`; it loads in lower case."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            r"#[0-9a-fA-F]{6}",
            "Must be a colour such as #0d1b2a.",
            maximum=7,
            placeholders_allowed=True,
            **kwargs,
        )

    def check(self, value: Any) -> str:
        """Return the colour in lower case."""
        return super().check(value).lower()


class VisualField(DiscriminatedObject):
    """Any visual; its `type` selects the schema."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("type", lambda: VISUALS, **kwargs)


class ColorVisualSchema(StrictSchema):
    """One colour."""

    type = Choice(["color"], required=True)
    colors = StrictList(ColorField(), minimum=1, maximum=1, required=True)


class GradientVisualSchema(StrictSchema):
    """A gradient of two to four colours."""

    type = Choice(["gradient"], required=True)
    colors = StrictList(ColorField(), minimum=2, maximum=4, required=True)


class BarSchema(StrictSchema):
    """A bar of a chart."""

    label = StrictString(60, placeholders_allowed=True, one_line=True, required=True)
    value = StrictNumber(0, 1e15, placeholders_allowed=True, required=True)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Bar:
        return Bar(**data)


class ChartVisualSchema(StrictSchema):
    """An animated bar chart, in the theme's colours on the theme's background."""

    type = Choice(["chart"], required=True)
    bars = StrictList(StrictObject(BarSchema), minimum=1, maximum=12, required=True)
    title = StrictString(
        120,
        minimum=0,
        placeholders_allowed=True,
        one_line=True,
        default="",
        description="Title above the bars.",
    )
    unit = StrictString(
        12,
        minimum=0,
        placeholders_allowed=True,
        one_line=True,
        default="",
        description="The unit of the values, such as %.",
    )
    highlight = StrictString(
        60,
        minimum=0,
        placeholders_allowed=True,
        one_line=True,
        default="",
        description="The label of the bar to highlight.",
    )


class PictureVisualSchema(StrictSchema):
    """The members of visuals that have to be fetched. Fetching may fail, so each may have a fallback."""

    fit = Choice(FIT, description="As in CSS, never stretched; `blur` fills the bars with a blurred copy.")
    motion = Choice(MOTION)
    fallback = VisualField(description="Shown instead if this one cannot be fetched.")


class ImageVisualSchema(PictureVisualSchema):
    """The client's own picture."""

    type = Choice(["image"], required=True)
    src = SourceField(required=True)


class VideoVisualSchema(PictureVisualSchema):
    """The client's own clip."""

    type = Choice(["video"], required=True)
    src = SourceField(required=True)
    start = StrictNumber(0, 86_400, default=0.0, description="Seconds into the clip.")
    speed = StrictNumber(0.25, 4, default=1.0)
    volume = StrictNumber(0, 1, default=0.0)
    when_short = Choice(
        WHEN_SHORT, default="loop", description="What fills the scene when the clip is too short for it."
    )


class StockVisualSchema(PictureVisualSchema):
    """A picture or clip found by a stock provider."""

    type = Choice(["stock"], required=True)
    query = StrictString(200, placeholders_allowed=True, required=True)
    kind = Choice(
        STOCK_KINDS, description="A photo or a clip; without it, whatever the provider finds first."
    )


class GeneratedVisualSchema(PictureVisualSchema):
    """A picture made by an image model."""

    type = Choice(["generated"], required=True)
    prompt = StrictString(2000, placeholders_allowed=True, required=True)


VISUALS = {
    "color": ColorVisualSchema,
    "gradient": GradientVisualSchema,
    "chart": ChartVisualSchema,
    "image": ImageVisualSchema,
    "video": VideoVisualSchema,
    "stock": StockVisualSchema,
    "generated": GeneratedVisualSchema,
}
