"""The schema of a brief: what a script is to be written about."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from marshmallow import ValidationError, post_load, validates_schema

from shared.script.schema.containers import StrictList
from shared.script.schema.fields import StrictInteger, StrictNumber, StrictString
from shared.script.schema.loading import StrictSchema
from shared.script.schema.script import LanguageField
from shared.script.values import Brief

MAX_SOURCE = 200_000
MAX_SCENES = 100


class SourceText(StrictString):
    """Text from a file: line and page breaks become newlines. It must not be blank."""

    def check(self, value: Any) -> str:
        """Normalize line breaks, then check the text."""
        if isinstance(value, str):
            value = value.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n")
        text = super().check(value)
        if text.isspace():
            raise ValidationError("May not be blank.")
        return text


class BriefSchema(StrictSchema):
    """A topic, or a text to turn into a script."""

    topic = SourceText(2000)
    source_text = SourceText(MAX_SOURCE)
    audience = StrictString(200)
    tone = StrictString(200)
    language = LanguageField(default="en")
    duration = StrictNumber(3, 3600, description="Target duration of the video, in seconds.")
    scenes = StrictInteger(1, MAX_SCENES)
    style = StrictString(200, description="Style of the pictures, such as watercolour.")
    keywords = StrictList(
        StrictString(100), maximum=20, default=(), description="Words that must appear in the script."
    )

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _check_subject(self, _: Any, original: Any, **__: Any) -> None:
        if isinstance(original, dict) and not {"topic", "source_text"} & original.keys():
            raise ValidationError("Must have a topic or a source_text.")

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Brief:
        return Brief(**data)


def dump_brief(brief: Brief) -> dict[str, Any]:
    """Return the JSON that loads as `brief`."""
    pairs = {**asdict(brief), "keywords": list(brief.keywords)}
    return {name: value for name, value in pairs.items() if value is not None}
