"""What a language model is asked to write: a part of the script's own language, in which no address can be said.

The form is told to the model as a JSON Schema in the subset that strict structured output takes. Its answer is checked
by the script's own schema, as some servers do not keep to a form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.script.schema.containers import DiscriminatedObject, StrictList, StrictObject
from shared.script.schema.fields import Choice, StrictField, StrictNumber, StrictString
from shared.script.schema.loading import StrictSchema
from shared.script.schema.visuals import ColorField

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


class DraftTextSchema(StrictSchema):
    """Words on the picture."""

    text = StrictString(
        120, required=True, description="A few words: a heading, a name, a number. Not the narration again."
    )
    role = Choice(["title", "subtitle", "lower_third", "quote", "label"], required=True)


class DraftGradientSchema(StrictSchema):
    """A coloured background."""

    type = Choice(["gradient"], required=True)
    colors = StrictList(
        ColorField(description="#rrggbb, dark enough for white text."), minimum=2, maximum=4, required=True,
        description="Two to four colours that suit what is told.",
    )  # fmt: skip


class DraftBarSchema(StrictSchema):
    """A bar of a chart."""

    label = StrictString(60, one_line=True, required=True)
    value = StrictNumber(0, 1e15, required=True)


class DraftChartSchema(StrictSchema):
    """A chart of bars, where numbers are told."""

    type = Choice(["chart"], required=True)
    title = StrictString(
        120, minimum=0, one_line=True, default="", description="What is compared; may be empty."
    )
    unit = StrictString(
        12,
        minimum=0,
        one_line=True,
        default="",
        description="What the values count, such as %; may be empty.",
    )
    bars = StrictList(
        StrictObject(DraftBarSchema), minimum=2, maximum=8, required=True,
        description="Numbers of one kind, all of them from the brief.",
    )  # fmt: skip


class DraftStockSchema(StrictSchema):
    """A picture to look for."""

    type = Choice(["stock"], required=True)
    query = StrictString(
        100,
        one_line=True,
        required=True,
        description="Two to five English words for a search of photographs.",
    )


class DraftSceneSchema(StrictSchema):
    """One scene."""

    narration = StrictString(
        MAX_NARRATION, required=True, description="What is said, as plain spoken sentences."
    )
    text = StrictList(
        StrictObject(DraftTextSchema),
        maximum=3,
        default=(),
        description="What is written on the picture; may be empty.",
    )
    visual: StrictField = DiscriminatedObject(
        "type",
        lambda: {"gradient": DraftGradientSchema, "chart": DraftChartSchema, "stock": DraftStockSchema},
        default=None,
    )


class PlainSceneSchema(DraftSceneSchema):
    """One scene where there is nobody to find pictures."""

    visual: StrictField = DiscriminatedObject(
        "type", lambda: {"gradient": DraftGradientSchema, "chart": DraftChartSchema}, default=None
    )


class DraftSchema(StrictSchema):
    """A script as a model writes it."""

    title = StrictString(120, one_line=True, required=True)
    scenes = StrictList(StrictObject(DraftSceneSchema), minimum=1, maximum=MAX_SCENES, required=True)


class PlainDraftSchema(DraftSchema):
    """A script without pictures."""

    scenes = StrictList(StrictObject(PlainSceneSchema), minimum=1, maximum=MAX_SCENES, required=True)


def draft_schema(*, pictures: bool) -> StrictSchema:
    """Return the schema of a model's answer; with `pictures`, scenes may ask for some."""
    return DraftSchema() if pictures else PlainDraftSchema()


def strict_json_schema(schema: Schema) -> dict[str, Any]:
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
        if not isinstance(field, StrictField):
            raise TypeError(f"{type(field).__name__} cannot be told to a model.")
        described = field.json_schema(self)
        plain = {
            "anyOf" if name == "oneOf" else name: value
            for name, value in described.items()
            if name not in _UNSUPPORTED
        }
        about = field.metadata.get("description")
        return {**plain, "description": about} if about else plain
