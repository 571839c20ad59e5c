"""Routes that list themes and voices."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from api.http.query_params import VoicesQuery
from api.openapi.resource import Resource
from shared.script.voices import available_voices
from shared.settings import settings
from shared.themes import theme_names

blueprint = Resource("catalogue", "Themes and voices that scripts may name.")


class ThemeSchema(Schema):
    """A theme."""

    name = fields.String()


class ThemesSchema(Schema):
    """All themes."""

    data = fields.List(fields.Nested(ThemeSchema))


class VoiceChoiceSchema(Schema):
    """A voice."""

    name = fields.String(metadata={"description": "The name by which scripts refer to it."})
    language = fields.String(metadata={"description": "A BCP 47 tag."})
    title = fields.String(metadata={"description": "A name to show to people."})


class VoicesSchema(Schema):
    """All voices."""

    data = fields.List(fields.Nested(VoiceChoiceSchema))


@blueprint.get("/themes")
@blueprint.documented(scope=None, replies={200: ThemesSchema})
def list_themes() -> dict[str, Any]:
    """List the themes."""
    return {"data": [{"name": name} for name in theme_names()]}


@blueprint.get("/voices")
@blueprint.documented(scope=None, query=VoicesQuery, replies={200: VoicesSchema})
def list_voices(query: dict[str, Any]) -> dict[str, Any]:
    """List the voices of all configured speech engines, or those of a language; `mul` marks multilingual ones."""
    language = query.get("language")
    return {
        "data": [
            {"name": voice.name, "language": voice.language, "title": voice.title}
            for voice in available_voices(settings())
            if language is None or voice.speaks(language)
        ]
    }
