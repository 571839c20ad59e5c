"""Templates: a script with `{{field}}` placeholders and its field declarations. A new one is filled at its limits to check it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError, post_load

from api.schemas.speakers import speakers
from api.schemas.template_directives import Expanded, Path, UnequalLists, expand, nested
from api.schemas.template_fields import FIELD_SCHEMAS, TemplateField, check_values
from shared.script.schema import placeholders
from shared.script.schema.canonical import list_sources
from shared.script.schema.containers import DiscriminatedObject, StrictMapping
from shared.script.schema.fields import PatternString, StrictField, StrictString
from shared.script.schema.loading import StrictSchema, as_invalid, json_pointer
from shared.script.schema.script import ScriptSchema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from api.schemas.speakers import Speaker
    from shared.script.schema.canonical import NamedSource
    from shared.script.values import Script

TEMPLATE_ID = r"[a-zA-Z0-9_-]{1,64}"
MAX_FIELDS = 100
MAX_CHECKED_NODES = 100_000  # nodes of scripts that checking one PUT may visit: some seconds
_SCRIPT = ScriptSchema()


@dataclass(frozen=True, slots=True)
class Template:
    """A checked template."""

    script: Mapping[str, Any]
    fields: Mapping[str, TemplateField]
    title: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class FilledTemplate:
    """The script that a template and values give, with its sources and speakers, each after the field that named it, or None."""

    script: Script
    sources: tuple[tuple[str | None, NamedSource], ...]
    speakers: tuple[tuple[str | None, Speaker], ...]


def fill_template(template: Template, field_values: Mapping[str, Any]) -> FilledTemplate:
    """Fill a template, or raise ValidationError: under `fields` for wrong values, under `template_id` for its own faults."""
    try:
        values = check_values(template.fields, field_values)
        expanded = expand(template.script, values)
    except UnequalLists as error:
        raise ValidationError({"fields": _unequal_list_errors(error)}) from error
    except ValidationError as error:
        raise ValidationError({"fields": error.messages}) from error
    try:
        script: Script = _SCRIPT.load(expanded.document)
    except ValidationError as error:
        raise ValidationError(_errors_by_field(error, expanded)) from error

    def field(where: str) -> str | None:
        return next(iter(expanded.names(_parse_pointer(where))), None)

    return FilledTemplate(
        script,
        tuple((field(source.pointer), source) for source in list_sources(script, expanded.document)),
        tuple((field(speaker.pointer), speaker) for speaker in speakers(script, expanded.document)),
    )


class TemplateScript(StrictField):
    """A script with placeholders, `each` and `if`. It is checked as a script when it is filled."""

    def check(self, value: Any) -> Any:
        """Check that it is an object, and its variables too."""
        if not isinstance(value, dict):
            raise ValidationError("Must be an object.")
        if not isinstance(value.get("variables", {}), dict):
            raise ValidationError({"variables": ["Must be an object."]})
        return value

    def json_schema(self, _: Any) -> dict[str, Any]:
        """Describe an object."""
        return {"type": "object", "description": "A script with `{{field}}`, `each`, `if` and `else`."}


class TemplateSchema(StrictSchema):
    """A template's structure. A stored template was checked in full when it was put."""

    title = StrictString(200, minimum=0, one_line=True, default="")
    description = StrictString(1000, minimum=0, default="")
    fields = StrictMapping(  # type: ignore[assignment]  # marshmallow takes it from the class, and keeps its own of this name
        PatternString(placeholders.NAME, "A field's name must have 1 to 64 of a-z, A-Z, 0-9, _ and -."),
        DiscriminatedObject("type", lambda: FIELD_SCHEMAS), maximum=MAX_FIELDS, default={},
        description="Declarations of the fields, by their names in the script's placeholders.",
    )  # fmt: skip
    script = TemplateScript(required=True)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Template:
        return Template(data["script"], data["fields"], data["title"], data["description"])


class NewTemplateSchema(TemplateSchema):
    """A new template, which is filled with sample values to check that it gives valid scripts."""

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Template:
        template = Template(data["script"], data["fields"], data["title"], data["description"])
        own = template.script.get("variables", {})
        if both := [name for name in template.fields if name in own or name == "number"]:
            raise ValidationError(
                {
                    "fields": {
                        name: ["Is taken: by a variable of the script, or as `number`."] for name in both
                    }
                }
            )
        nodes_left = MAX_CHECKED_NODES
        for values in _sample_values(template.fields):
            nodes_left -= _check_filled(template, values)
            if nodes_left < 0:
                raise ValidationError(
                    {
                        "script": [
                            "Is too large to be checked with all values that its fields allow. Lower max_items."
                        ]
                    }
                )
        return template


def _sample_values(fields: Mapping[str, TemplateField]) -> Iterator[dict[str, Any]]:
    """Yield values to check with: typical ones, then the shortest and longest allowed, then each choice."""
    yield {name: field.sample for name, field in fields.items()}
    most = max((len(field.extremes) for field in fields.values()), default=1)
    for at in range(most):
        yield {
            name: None if field.optional and at == 0 else field.extremes[at % len(field.extremes)]
            for name, field in fields.items()
        }


def _check_filled(template: Template, field_values: Mapping[str, Any]) -> int:
    """Fill a template and return its number of nodes, or raise ValidationError with places in the template's own script."""
    values = {
        name: tuple(value) if isinstance(value, list) else value for name, value in field_values.items()
    }
    try:
        expanded = expand(template.script, values)
    except UnequalLists as error:
        raise ValidationError({"fields": _unequal_list_errors(error)}) from error
    except ValidationError as error:
        raise ValidationError({"script": error.messages}) from error
    try:
        _SCRIPT.load(expanded.document)
    except ValidationError as error:
        messages: dict[str, Any] = {}
        for where, detail in islice(as_invalid(error).places, 100):
            _merge_messages(messages, nested(expanded.place(_parse_pointer(where)), [detail]))
        raise ValidationError({"script": messages}) from error
    return len(expanded.places)


def _unequal_list_errors(error: UnequalLists) -> dict[str, Any]:
    first, *others = error.args[0]
    return {name: [f"Must have as many items as {first}, since `each` goes through both."] for name in others}


def _errors_by_field(error: ValidationError, expanded: Expanded) -> dict[str, Any]:
    messages: dict[str, Any] = {}
    for where, detail in islice(as_invalid(error).places, 100):
        path = _parse_pointer(where)
        names = expanded.names(path)
        for name in names:
            _merge_messages(messages, {"fields": {name: [detail]}})
        if not names:
            place = json_pointer("#", *expanded.place(path))
            _merge_messages(
                messages,
                {"template_id": [f"The template gives no valid script with these fields: {place}: {detail}"]},
            )
    return messages


def _merge_messages(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, addition in more.items():
        present = into.get(name)
        if isinstance(present, dict) and isinstance(addition, dict):
            _merge_messages(present, addition)
        elif isinstance(present, list) and isinstance(addition, list):
            present.extend(text for text in addition if text not in present)
        elif present is None:
            into[name] = addition


def _parse_pointer(where: str) -> Path:
    """Return a JSON pointer's path."""
    parts = where.removeprefix("#").split("/")[1:]
    plain = (part.replace("~1", "/").replace("~0", "~") for part in parts)
    return tuple(int(part) if part.isdecimal() else part for part in plain)
