"""How our own fields appear in the OpenAPI document. The gateway registers this with apispec once."""

from __future__ import annotations

from typing import Any

from api.schemas.response_fields import RawJson, Timestamp
from shared.script.schema.fields import StrictField


def register(converter: Any) -> None:
    """Teach apispec's `converter` our fields: with flask-smorest, `register(api.ma_plugin.converter)` after Api(app)."""
    converter.add_attribute_function(field2schema)


def field2schema(converter: Any, field: Any, ret: dict[str, Any]) -> dict[str, Any]:
    """Return what a field says of itself; `ret` is what apispec found out, and is mended in place."""
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
    default = ret.pop("default", None)  # None: "unset" inside, and not a value that a client may send
    if default is not None:
        described = described | {"default": list(default) if isinstance(default, tuple) else default}
    return described
