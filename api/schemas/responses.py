"""What is answered about everything but tasks: problems, assets, keys."""

from __future__ import annotations

from marshmallow import Schema, fields

from api.schemas.response_fields import Timestamp


class FieldErrorSchema(Schema):
    """One thing that is wrong with the input."""

    pointer = fields.String(metadata={"description": "A JSON pointer into the request, as a URL fragment."})
    detail = fields.String()


class ProblemSchema(Schema):
    """A problem document (RFC 9457)."""

    type = fields.String(metadata={"description": "A path that documents this type of problem."})
    code = fields.String(metadata={"description": "The type's stable name."})
    title = fields.String()
    status = fields.Integer()
    detail = fields.String()
    instance = fields.String()
    request_id = fields.String()
    errors = fields.List(fields.Nested(FieldErrorSchema))


class AssetSchema(Schema):
    """A picture, clip or sound that a client uploaded, with what was found in it."""

    asset_id = fields.UUID()
    kind = fields.String(metadata={"enum": ["image", "video", "audio"]})
    media_type = fields.String()
    bytes = fields.Integer()
    sha256 = fields.String()
    width = fields.Integer(allow_none=True, metadata={"description": "As displayed: rotation is applied."})
    height = fields.Integer(allow_none=True)
    duration = fields.Float(allow_none=True)
    fps = fields.Float(allow_none=True)
    has_audio = fields.Boolean()
    created_at = Timestamp()
    links = fields.Dict(keys=fields.String(), values=fields.String())


class AssetPageSchema(Schema):
    """A page of assets."""

    data = fields.List(fields.Nested(AssetSchema))
    next_cursor = fields.String(allow_none=True)


class UploadSchema(Schema):
    """A file that comes in pieces, by tus 1.0.0."""

    upload_id = fields.UUID()
    offset = fields.Integer(metadata={"description": "How many bytes are safely there."})
    length = fields.Integer(allow_none=True, metadata={"description": "Of the whole; null: told later."})
    asset_id = fields.UUID(allow_none=True, metadata={"description": "What it has become, once it is whole."})
    created_at = Timestamp()
    expires_at = Timestamp(allow_none=True, metadata={"description": "When it expires, unless it goes on."})
    links = fields.Dict(keys=fields.String(), values=fields.String())


class ApiKeySchema(Schema):
    """A key, without its secret."""

    id = fields.String()
    name = fields.String()
    scopes = fields.List(fields.String())
    created_at = Timestamp()
    revoked_at = Timestamp(allow_none=True)


class NewApiKeySchema(ApiKeySchema):
    """A key with its secret, which is shown this once."""

    key = fields.String()
