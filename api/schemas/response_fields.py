"""Marshmallow fields of responses: timestamps, and JSON that another schema documents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from marshmallow import fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from marshmallow import Schema


class Timestamp(fields.Raw):
    """A timestamp in UTC: RFC 3339 with milliseconds and a Z."""

    def _serialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, datetime):
            return value
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class RawJson(fields.Raw):
    """JSON that is written as it is, documented by the schema that it follows."""

    def __init__(self, schema: Callable[[], Schema], *, nullable: bool = False, **kwargs: Any) -> None:
        super().__init__(allow_none=nullable, **kwargs)
        self._make = schema
        self._schema: Schema | None = None

    def json_schema(self, converter: Any) -> dict[str, Any]:
        """Refer to the schema."""
        self._schema = self._schema or self._make()
        reference: dict[str, Any] = converter.resolve_nested_schema(self._schema)
        return {"anyOf": [reference, {"type": "null"}]} if self.allow_none else reference
