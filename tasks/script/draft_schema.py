"""What a language model is asked to write: a part of the script's own language, in which no address can be said.

The form is told to the model as a JSON Schema in the subset that strict structured output takes. Its answer is checked
by the script's own schema, as some servers do not keep to a form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.script.schema.containers import Items, Object, Variant
from shared.script.schema.fields import Checked, Choice, Number, Words
from shared.script.schema.loading import Strict
from shared.script.schema.visuals import Color

if TYPE_CHECKING:
    from marshmallow import Schema

MAX_SCENES = 100
MAX_NARRATION = 1500
# Not known to every server that claims strict output; the schemas here check them all the same.
_UNSUPPORTED = (
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "uniqueItems",
    "discriminator",
    "default",
)


class DraftTextSchema(Strict):
    """Words on the picture."""

    text = Words(
        120, required=True, about="A few words: a heading, a name, a number. Not the narration again."
    )
    role = Choice(["title", "subtitle", "lower_third", "quote", "label"], required=True)


class DraftGradientSchema(Strict):
    """A coloured background."""

    type = Choice(["gradient"], required=True)
    colors = Items(
        Color(about="#rrggbb, dark enough for white text."), least=2, most=4, required=True,
        about="Two to four colours that suit what is told.",
    )  # fmt: skip


class DraftBarSchema(Strict):
    """A bar of a chart."""

    label = Words(60, one_line=True, required=True)
    value = Number(0, 1e15, required=True)


class DraftChartSchema(Strict):
    """A chart of bars, where numbers are told."""

    type = Choice(["chart"], required=True)
    title = Words(120, least=0, one_line=True, default="", about="What is compared; may be empty.")
    unit = Words(
        12, least=0, one_line=True, default="", about="What the values count, such as %; may be empty."
    )
    bars = Items(
        Object(DraftBarSchema), least=2, most=8, required=True,
        about="Numbers of one kind, all of them from the brief.",
    )  # fmt: skip


class DraftStockSchema(Strict):
    """A picture to look for."""

    type = Choice(["stock"], required=True)
    query = Words(
        100, one_line=True, required=True, about="Two to five English words for a search of photographs."
    )


class DraftSceneSchema(Strict):
    """One scene."""

    narration = Words(MAX_NARRATION, required=True, about="What is said, as plain spoken sentences.")
    text = Items(
        Object(DraftTextSchema), most=3, default=(), about="What is written on the picture; may be empty."
    )
    visual: Checked = Variant(
        "type",
        lambda: {"gradient": DraftGradientSchema, "chart": DraftChartSchema, "stock": DraftStockSchema},
        default=None,
    )


class PlainSceneSchema(DraftSceneSchema):
    """One scene where there is nobody to find pictures."""

    visual: Checked = Variant(
        "type", lambda: {"gradient": DraftGradientSchema, "chart": DraftChartSchema}, default=None
    )


class DraftSchema(Strict):
    """A script as a model writes it."""

    title = Words(120, one_line=True, required=True)
    scenes = Items(Object(DraftSceneSchema), least=1, most=MAX_SCENES, required=True)


class PlainDraftSchema(DraftSchema):
    """A script without pictures."""

    scenes = Items(Object(PlainSceneSchema), least=1, most=MAX_SCENES, required=True)


def draft_schema(*, pictures: bool) -> Strict:
    """Return the schema of a model's answer; with `pictures`, scenes may ask for some."""
    return DraftSchema() if pictures else PlainDraftSchema()


def structured(schema: Schema) -> dict[str, Any]:
    """Return `schema` as JSON Schema for strict structured output: every member required, nothing beside them."""
    return _Inline().resolve_nested_schema(schema)


class _Inline:
    """Stands where apispec's converter does, and writes schemas out in place."""

    def resolve_nested_schema(self, schema: Schema) -> dict[str, Any]:
        members = {name: self.field2property(field) for name, field in schema.fields.items()}
        return {
            "type": "object",
            "properties": members,
            "required": list(members),
            "additionalProperties": False,
        }

    def field2property(self, field: Any) -> dict[str, Any]:
        if not isinstance(field, Checked):
            raise TypeError(f"{type(field).__name__} cannot be told to a model.")
        described = field.described(self)
        plain = {
            "anyOf" if name == "oneOf" else name: value
            for name, value in described.items()
            if name not in _UNSUPPORTED
        }
        about = field.metadata.get("description")
        return {**plain, "description": about} if about else plain
