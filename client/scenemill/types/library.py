"""Templates, themes and voices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Required, TypeAlias, TypedDict

from scenemill.types.jobs import FieldValue
from scenemill.types.value import Value


class FieldOptions(TypedDict, total=False):
    """What a field of any type may say."""

    description: str
    default: FieldValue
    example: FieldValue
    optional: bool


class StringField(FieldOptions, total=False):
    """A field for a text."""

    type: Required[Literal["string"]]
    min_length: int
    max_length: int


class NumberField(FieldOptions, total=False):
    """A field for a number."""

    type: Required[Literal["number"]]
    minimum: float
    maximum: float


class ColorField(FieldOptions, total=False):
    """A field for a colour, `#rrggbb`."""

    type: Required[Literal["color"]]


class AssetField(FieldOptions, total=False):
    """A field for a file: `asset:ID` or an https URL."""

    type: Required[Literal["asset"]]


class ChoiceField(FieldOptions, total=False):
    """A field for one of several words."""

    type: Required[Literal["choice"]]
    choices: Required[list[str]]


ItemField: TypeAlias = StringField | NumberField | ColorField | AssetField | ChoiceField


class ListField(FieldOptions, total=False):
    """A field for a list, each item of which is as `items` says."""

    type: Required[Literal["list"]]
    items: Required[ItemField]
    min_items: int
    max_items: int


TemplateField: TypeAlias = StringField | NumberField | ColorField | AssetField | ChoiceField | ListField


class TemplateDocument(TypedDict, total=False):
    """A template as it is stored: a script with `{{field}}` in it, and what each field takes."""

    script: Required[dict[str, Any]]
    fields: dict[str, TemplateField]
    title: str
    description: str


@dataclass(frozen=True)
class TemplateSummary(Value):
    """A template without its script."""

    template_id: str
    version: int = 1
    built_in: bool = False
    title: str = ""
    description: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Return the template's id."""
        return self.template_id


@dataclass(frozen=True)
class Template(TemplateSummary):
    """A template with its script."""

    script: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Theme(Value):
    """A theme: colours, fonts, and styles of captions and texts."""

    name: str


@dataclass(frozen=True)
class Voice(Value):
    """A voice that a script may name."""

    name: str
    language: str = ""
    title: str = ""
