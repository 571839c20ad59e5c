"""Schemas of API keys: the request for a new one, and the list."""

from __future__ import annotations

from marshmallow import Schema, fields

from api.schemas.responses import ApiKeySchema
from shared.accounts import SCOPES
from shared.script.schema.containers import StrictList
from shared.script.schema.fields import Choice, StrictString
from shared.script.schema.loading import StrictSchema


class ApiKeyRequestSchema(StrictSchema):
    """A key to create."""

    name = StrictString(
        100, one_line=True, required=True, description="A name that tells it from other keys."
    )
    scopes = StrictList(Choice(SCOPES), minimum=1, maximum=len(SCOPES), unique=True, required=True)


class ApiKeysSchema(Schema):
    """All keys of an account."""

    data = fields.List(fields.Nested(ApiKeySchema))
