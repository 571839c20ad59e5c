"""Reads query strings and JSON bodies for flask-smorest: strictly, without blocking other requests, raising our errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from flask import g
from marshmallow import Schema, ValidationError
from webargs.flaskparser import FlaskParser

from api.http.request_context import json_body
from api.server import offload
from shared.script.schema.loading import as_invalid

if TYPE_CHECKING:
    from flask import Request

_POINTER_PREFIXES = {"json": "#", "query": "#"}


class StrictParser(FlaskParser):
    """Reads input strictly, and raises our errors. Whether unknown members are let through is the schema's choice."""

    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {}  # noqa: RUF012 (webargs declares it so)

    def load_json(self, req: Request, schema: Schema) -> Any:  # noqa: ARG002 (webargs' signature)
        """Return the body's JSON."""
        return json_body()

    def load_querystring(self, req: Request, schema: Schema) -> Any:  # noqa: ARG002 (webargs' signature)
        """Return the query's parameters; one that is given twice is an error, not a choice of ours."""
        repeated = {name: ["Is given twice."] for name, values in req.args.lists() if len(values) > 1}
        if repeated:
            raise ValidationError(repeated)
        return req.args.to_dict()

    def _process_location_data(self, location_data: Any, schema: Schema, *args: Any, **kwargs: Any) -> Any:
        """Load by the schema, without holding other requests up."""
        size = g.get("body_size", 0)
        return offload.run_if_large(
            size, super()._process_location_data, location_data, schema, *args, **kwargs
        )

    def handle_error(
        self,
        error: ValidationError,
        req: Request,  # noqa: ARG002 (webargs' signature)
        schema: Schema,  # noqa: ARG002 (webargs' signature)
        **_: Any,
    ) -> NoReturn:
        """Raise `Invalid` with a pointer for each place."""
        ((location, messages),) = error.messages.items()  # type: ignore[union-attr]  # webargs wraps them so
        raise as_invalid(ValidationError(messages), _POINTER_PREFIXES[location]) from error
