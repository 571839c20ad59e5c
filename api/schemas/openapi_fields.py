"""Describes our own marshmallow fields in the OpenAPI document, as a plugin of apispec."""

from __future__ import annotations

from typing import Any

from api.schemas.response_fields import RawJson, Timestamp
from shared.script.schema.fields import StrictField


def register(converter: Any) -> None:
    """Register our fields with apispec's `converter`; with flask-smorest: `register(api.ma_plugin.converter)`."""
    converter.add_attribute_function(field2schema)


def field2schema(converter: Any, field: Any, ret: dict[str, Any]) -> dict[str, Any]:
    """Return a field's own JSON schema. `ret` is apispec's, whose default is removed in place."""
    if isinstance(field, RawJson):
        described = field.json_schema(converter)
    elif isinstance(field, Timestamp):
        described = {"type": ["string", "null"] if field.allow_none else "string", "format": "date-time"}
    elif isinstance(field, StrictField):
        described = field.json_schema(converter)
        if field.allow_none:
            described = {"anyOf": [described, {"type": "null"}]}
    else:
        return {}
    default = ret.pop("default", None)  # None means "not set" inside; a client must not send it
    if default is not None:
        described = described | {"default": list(default) if isinstance(default, tuple) else default}
    return described
