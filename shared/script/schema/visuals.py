"""What a scene shows, one schema a type: a member that the type does not know is an unknown one."""

from __future__ import annotations

from typing import Any, get_args

from marshmallow import post_load

from shared.script.schema.containers import Items, Object, Variant
from shared.script.schema.fields import Choice, Number, Pattern, Words
from shared.script.schema.loading import Strict
from shared.script.schema.sources import Source
from shared.script.values import Bar, Fit, Motion, StockKind, WhenShort

FIT = get_args(Fit)
MOTION = get_args(Motion)
WHEN_SHORT = get_args(WhenShort)
STOCK_KINDS = get_args(StockKind)


class Color(Pattern):
    """`#rrggbb`, written small."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            r"#[0-9a-fA-F]{6}", "Must be a colour such as #0d1b2a.", most=7, template=True, **kwargs
        )

    def check(self, value: Any) -> str:
        """Return one spelling of each colour."""
        return super().check(value).lower()


class Visual(Variant):
    """Any of the visuals below."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("type", lambda: VISUALS, **kwargs)


class ColorVisualSchema(Strict):
    """One colour."""

    type = Choice(["color"], required=True)
    colors = Items(Color(), least=1, most=1, required=True)


class GradientVisualSchema(Strict):
    """A gradient of two to four colours."""

    type = Choice(["gradient"], required=True)
    colors = Items(Color(), least=2, most=4, required=True)


class BarSchema(Strict):
    """A bar of a chart."""

    label = Words(60, template=True, one_line=True, required=True)
    value = Number(0, 1e15, template=True, required=True)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Bar:
        return Bar(**data)


class ChartVisualSchema(Strict):
    """Bars that grow, in the theme's colours on the theme's background."""

    type = Choice(["chart"], required=True)
    bars = Items(Object(BarSchema), least=1, most=12, required=True)
    title = Words(120, least=0, template=True, one_line=True, default="", about="Above the bars.")
    unit = Words(12, least=0, template=True, one_line=True, default="", about="What the values count.")
    highlight = Words(
        60,
        least=0,
        template=True,
        one_line=True,
        default="",
        about="The label of the one bar that stands out.",
    )


class PictureVisualSchema(Strict):
    """What is common to visuals that have to be fetched: they may be away, so each may have a fallback."""

    fit = Choice(FIT, about="As in CSS, never stretched; `blur` fills the bars with a blurred copy.")
    motion = Choice(MOTION)
    fallback = Visual(about="Shown instead if this one cannot be had.")


class ImageVisualSchema(PictureVisualSchema):
    """The client's own picture."""

    type = Choice(["image"], required=True)
    src = Source(required=True)


class VideoVisualSchema(PictureVisualSchema):
    """The client's own clip."""

    type = Choice(["video"], required=True)
    src = Source(required=True)
    start = Number(0, 86_400, default=0.0, about="Seconds into the clip.")
    speed = Number(0.25, 4, default=1.0)
    volume = Number(0, 1, default=0.0)
    when_short = Choice(
        WHEN_SHORT, default="loop", about="What fills the scene when the clip is too short for it."
    )


class StockVisualSchema(PictureVisualSchema):
    """A picture or clip that the stock provider finds."""

    type = Choice(["stock"], required=True)
    query = Words(200, template=True, required=True)
    kind = Choice(STOCK_KINDS, about="A photo or a clip; without it, what the provider finds first.")


class GeneratedVisualSchema(PictureVisualSchema):
    """A picture that an image model makes."""

    type = Choice(["generated"], required=True)
    prompt = Words(2000, template=True, required=True)


VISUALS = {
    "color": ColorVisualSchema,
    "gradient": GradientVisualSchema,
    "chart": ChartVisualSchema,
    "image": ImageVisualSchema,
    "video": VideoVisualSchema,
    "stock": StockVisualSchema,
    "generated": GeneratedVisualSchema,
}
