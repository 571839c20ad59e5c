"""What a script may choose from: themes and voices."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from api.http.query_params import VoicesQuery
from api.openapi.resource import Resource
from shared.script.voices import available_voices
from shared.settings import settings
from shared.themes import theme_names

blueprint = Resource("catalogue", "What a script may choose from.")


class ThemeSchema(Schema):
    """A theme."""

    name = fields.String()


class ThemesSchema(Schema):
    """All themes."""

    data = fields.List(fields.Nested(ThemeSchema))


class VoiceChoiceSchema(Schema):
    """A voice."""

    name = fields.String(metadata={"description": "What a script names it by."})
    language = fields.String(metadata={"description": "A BCP 47 tag."})
    title = fields.String(metadata={"description": "Its name for people."})


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
    """List the voices of every speech engine that is set up here, or those of a language; `mul` speaks many."""
    language = query.get("language")
    return {
        "data": [
            {"name": each.name, "language": each.language, "title": each.title}
            for each in available_voices(settings())
            if language is None or each.speaks(language)
        ]
    }
