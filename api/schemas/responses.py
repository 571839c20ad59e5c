"""Schemas of responses other than tasks: problems, assets, uploads, API keys."""

from __future__ import annotations

from marshmallow import Schema, fields

from api.schemas.response_fields import Timestamp


class FieldErrorSchema(Schema):
    """One wrong value of the request."""

    pointer = fields.String(metadata={"description": "A JSON pointer into the request, as a URL fragment."})
    detail = fields.String()


class ProblemSchema(Schema):
    """A problem document (RFC 9457)."""

    type = fields.String(metadata={"description": "The path of a page that explains this type of problem."})
    code = fields.String(metadata={"description": "The stable name of this type of problem."})
    title = fields.String()
    status = fields.Integer()
    detail = fields.String()
    instance = fields.String()
    request_id = fields.String()
    errors = fields.List(fields.Nested(FieldErrorSchema))


class AssetSchema(Schema):
    """An uploaded image, video or sound, with its probed properties."""

    asset_id = fields.UUID()
    kind = fields.String(metadata={"enum": ["image", "video", "audio"]})
    media_type = fields.String()
    bytes = fields.Integer()
    sha256 = fields.String()
    width = fields.Integer(allow_none=True, metadata={"description": "Pixels as displayed, after rotation."})
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
    """A resumable upload, by tus 1.0.0."""

    upload_id = fields.UUID()
    offset = fields.Integer(metadata={"description": "How many bytes are stored."})
    length = fields.Integer(
        allow_none=True, metadata={"description": "Bytes of the whole file; null until it is known."}
    )
    asset_id = fields.UUID(
        allow_none=True, metadata={"description": "The asset that the finished upload has become."}
    )
    created_at = Timestamp()
    expires_at = Timestamp(
        allow_none=True, metadata={"description": "When the upload expires unless more of it arrives."}
    )
    links = fields.Dict(keys=fields.String(), values=fields.String())


class ApiKeySchema(Schema):
    """An API key, without its secret."""

    id = fields.String()
    name = fields.String()
    scopes = fields.List(fields.String())
    created_at = Timestamp()
    revoked_at = Timestamp(allow_none=True)


class NewApiKeySchema(ApiKeySchema):
    """An API key with its secret, which is shown in this response alone."""

    key = fields.String()
