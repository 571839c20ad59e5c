"""Declarations of a template's fields: types, limits and defaults; and the check of values against them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError, post_load

from shared.script.schema.containers import DiscriminatedObject, StrictList
from shared.script.schema.fields import (
    Choice,
    StrictBoolean,
    StrictField,
    StrictInteger,
    StrictNumber,
    StrictString,
)
from shared.script.schema.loading import StrictSchema
from shared.script.schema.sources import SourceField
from shared.script.schema.visuals import ColorField

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_STRING = 5000
MAX_NUMBER = 1e15
MAX_ITEMS = 50
MAX_CHOICES = 50
LIST_SEPARATOR = "|"
_ASSET = "asset:00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class TemplateField:
    """A declared field. `extremes` are values at its limits, with which a new template is checked."""

    type: str
    checker: StrictField
    extremes: tuple[Any, ...]
    optional: bool = False
    default: Any = None
    example: Any = None

    @property
    def sample(self) -> Any:
        """Return a typical value: the example, else the default, else an extreme."""
        candidates = (self.example, self.default)
        return next((value for value in candidates if value is not None), self.extremes[0])


class AnyValue(StrictField):
    """Any value; it is checked elsewhere."""

    def check(self, value: Any) -> Any:
        """Return it unchanged."""
        return value

    def json_schema(self, _: Any) -> dict[str, Any]:
        """Describe the types that a field's value may have."""
        return {"type": ["string", "number", "array"]}


class FieldSchema(StrictSchema):
    """Members of all field declarations. A field without a default is required unless it is optional."""

    description = StrictString(500, minimum=0, default="")
    default = AnyValue(description="The value where the job gives none.")
    example = AnyValue()
    optional = StrictBoolean(
        default=False, description="Whether a job may leave it out; objects with `if` on it are then omitted."
    )

    def limits(self, data: dict[str, Any]) -> tuple[StrictField, tuple[Any, ...]]:
        """Return the check of a value, and values at its limits."""
        raise NotImplementedError

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> TemplateField:
        checker, extremes = self.limits(data)
        for name in ("default", "example"):
            if name in data:
                try:
                    checker.deserialize(data[name])
                except ValidationError as error:
                    raise ValidationError({name: error.messages}) from error
        samples = {name: data.get(name) for name in ("default", "example")}
        return TemplateField(data["type"], checker, extremes, optional=data["optional"], **samples)


class StringFieldSchema(FieldSchema):
    """A text."""

    type = Choice(["string"], required=True)
    min_length = StrictInteger(0, MAX_STRING, default=1)
    max_length = StrictInteger(1, MAX_STRING, default=200)

    def limits(self, data: dict[str, Any]) -> tuple[StrictField, tuple[Any, ...]]:
        """Return the check of the length."""
        least, most = data["min_length"], data["max_length"]
        if least > most:
            raise ValidationError({"min_length": ["Is more than max_length."]})
        return BoundedText(most, minimum=least), ("W" * least, "W" * most)


class BoundedText(StrictString):
    """A text with a minimum length."""

    def check(self, value: Any) -> str:
        """Check both limits of the length."""
        text = super().check(value) if value != "" or not self.minimum else value
        if len(text) < self.minimum:
            raise ValidationError(
                f"Must be at least {self.minimum} character{'s' if self.minimum > 1 else ''} long."
            )
        return text


class NumberFieldSchema(FieldSchema):
    """A number."""

    type = Choice(["number"], required=True)
    minimum = StrictNumber(-MAX_NUMBER, MAX_NUMBER, default=-MAX_NUMBER)
    maximum = StrictNumber(-MAX_NUMBER, MAX_NUMBER, default=MAX_NUMBER)

    def limits(self, data: dict[str, Any]) -> tuple[StrictField, tuple[Any, ...]]:
        """Return the check of the bounds."""
        least, most = data["minimum"], data["maximum"]
        if least > most:
            raise ValidationError({"minimum": ["Is more than maximum."]})
        return UnconvertedNumber(least, most), (least, most)


class UnconvertedNumber(StrictNumber):
    """A number that keeps its type: 5 is shown as 5, not as 5.0."""

    def check(self, value: Any) -> Any:
        """Return the number unchanged."""
        super().check(value)
        return value


class ColorFieldSchema(FieldSchema):
    """A colour."""

    type = Choice(["color"], required=True)

    def limits(self, _: dict[str, Any]) -> tuple[StrictField, tuple[Any, ...]]:
        """Return the check of the syntax."""
        return ColorField(), ("#000000",)


class AssetFieldSchema(FieldSchema):
    """A file, as in a `src`: `asset:ID` or an https URL."""

    type = Choice(["asset"], required=True)

    def limits(self, _: dict[str, Any]) -> tuple[StrictField, tuple[Any, ...]]:
        """Return the check of the syntax; whether the file exists is checked for each job."""
        return SourceField(), (_ASSET,)


class ChoiceFieldSchema(FieldSchema):
    """One of a fixed set of texts."""

    type = Choice(["choice"], required=True)
    choices = StrictList(StrictString(200), minimum=1, maximum=MAX_CHOICES, unique=True, required=True)

    def limits(self, data: dict[str, Any]) -> tuple[StrictField, tuple[Any, ...]]:
        """Return the check of the choices."""
        return Choice(data["choices"]), data["choices"]


class ListFieldSchema(FieldSchema):
    """A list of values of one type, for objects with `each`."""

    type = Choice(["list"], required=True)
    items: StrictField = DiscriminatedObject("type", lambda: SCALAR_SCHEMAS, required=True)
    min_items = StrictInteger(0, MAX_ITEMS, default=1)
    max_items = StrictInteger(1, MAX_ITEMS, default=10)

    def limits(self, data: dict[str, Any]) -> tuple[StrictField, tuple[Any, ...]]:
        """Return the check of the length and of each item."""
        least, most, item = data["min_items"], data["max_items"], data["items"]
        if least > most:
            raise ValidationError({"min_items": ["Is more than max_items."]})
        lowest, highest = item.extremes[0], item.extremes[-1]
        return StrictList(item.checker, minimum=least, maximum=most), ([lowest] * least, [highest] * most)


SCALAR_SCHEMAS: dict[str, type[FieldSchema]] = {
    "string": StringFieldSchema,
    "number": NumberFieldSchema,
    "color": ColorFieldSchema,
    "asset": AssetFieldSchema,
    "choice": ChoiceFieldSchema,
}
FIELD_SCHEMAS: dict[str, type[FieldSchema]] = {**SCALAR_SCHEMAS, "list": ListFieldSchema}


def check_values(fields: Mapping[str, TemplateField], field_values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value for each field, None for an absent optional one; or raise ValidationError by field name."""
    errors: dict[str, Any] = {
        name: ["The template declares no such field."] for name in field_values if name not in fields
    }
    values: dict[str, Any] = {}
    for name, field in fields.items():
        value = field_values.get(name, field.default)
        if value is None and not field.optional:
            errors[name] = ["Missing."]
        elif value is None:
            values[name] = None
        else:
            try:
                values[name] = field.checker.deserialize(value)
            except ValidationError as error:
                errors[name] = error.messages
    if errors:
        raise ValidationError(errors)
    return values


def convert_cells(fields: Mapping[str, TemplateField], row: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of a CSV row, converted to their types; an empty cell gives no field.

    A list's items are separated by `|`. A cell that cannot be converted stays text, which `check_values` refuses.
    """
    return {name: _convert_cell(fields.get(name), cell) for name, cell in row.items() if cell != ""}


def _convert_cell(field: TemplateField | None, cell: str) -> Any:
    if field is not None and field.type == "list":
        item = field.checker.inner  # type: ignore[attr-defined]  # a list's checker is Items
        return [_convert_number(part.strip(), item) for part in cell.split(LIST_SEPARATOR)]
    return cell if field is None else _convert_number(cell, field.checker)


def _convert_number(cell: str, checker: StrictField) -> Any:
    if not isinstance(checker, StrictNumber):
        return cell
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return cell
