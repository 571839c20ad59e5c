"""The schema of a language model's answer: a subset of the script's language that cannot hold an address.

The model gets it as JSON Schema in the subset that strict structured output supports. The answer is also checked against
the schemas here, as some servers ignore a JSON Schema.
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
# Keywords that some servers with strict output reject; the schemas here check them anyway.
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
    """Text on the picture."""

    text = StrictString(
        120, required=True, description="A few words: a heading, a name, a number. Not the narration again."
    )
    role = Choice(["title", "subtitle", "lower_third", "quote", "label"], required=True)


class DraftGradientSchema(StrictSchema):
    """A gradient as the background."""

    type = Choice(["gradient"], required=True)
    colors = StrictList(
        ColorField(description="#rrggbb, dark enough for white text."), minimum=2, maximum=4, required=True,
        description="Two to four colours that suit what is told.",
    )  # fmt: skip


class DraftBarSchema(StrictSchema):
    """One bar of a chart."""

    label = StrictString(60, one_line=True, required=True)
    value = StrictNumber(0, 1e15, required=True)


class DraftChartSchema(StrictSchema):
    """A bar chart."""

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
    """A stock photograph to search for."""

    type = Choice(["stock"], required=True)
    query = StrictString(
        100,
        one_line=True,
        required=True,
        description="Two to five English words for a search of photographs.",
    )


class DraftSceneSchema(StrictSchema):
    """One scene, where stock pictures can be searched."""

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
    """One scene, where no stock provider is configured."""

    visual: StrictField = DiscriminatedObject(
        "type", lambda: {"gradient": DraftGradientSchema, "chart": DraftChartSchema}, default=None
    )


class DraftSchema(StrictSchema):
    """A script that may ask for stock pictures."""

    title = StrictString(120, one_line=True, required=True)
    scenes = StrictList(StrictObject(DraftSceneSchema), minimum=1, maximum=MAX_SCENES, required=True)


class PlainDraftSchema(DraftSchema):
    """A script without stock pictures."""

    scenes = StrictList(StrictObject(PlainSceneSchema), minimum=1, maximum=MAX_SCENES, required=True)


def draft_schema(*, pictures: bool) -> StrictSchema:
    """Return the schema of a model's answer; with `pictures`, scenes may ask for stock pictures."""
    return DraftSchema() if pictures else PlainDraftSchema()


def strict_json_schema(schema: Schema) -> dict[str, Any]:
    """Return `schema` as JSON Schema for strict structured output: all properties required, no additional ones."""
    return _Inline().resolve_nested_schema(schema)


class _Inline:
    """Takes the place of apispec's converter, and writes nested schemas in place instead of as references."""

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
            raise TypeError(f"{type(field).__name__} has no JSON Schema for a model's answer.")
        described = field.json_schema(self)
        plain = {
            "anyOf" if name == "oneOf" else name: value
            for name, value in described.items()
            if name not in _UNSUPPORTED
        }
        about = field.metadata.get("description")
        return {**plain, "description": about} if about else plain
