"""API keys as they are asked for and listed."""

from __future__ import annotations

from marshmallow import Schema, fields

from api.schemas.responses import ApiKeySchema
from shared.accounts import SCOPES
from shared.script.schema.containers import Items
from shared.script.schema.fields import Choice, Words
from shared.script.schema.loading import Strict


class ApiKeyRequestSchema(Strict):
    """A key that is to be made."""

    name = Words(100, one_line=True, required=True, about="To tell it from other keys.")
    scopes = Items(Choice(SCOPES), least=1, most=len(SCOPES), unique=True, required=True)


class ApiKeysSchema(Schema):
    """All keys of an account."""

    data = fields.List(fields.Nested(ApiKeySchema))
