"""Parses query strings and JSON bodies for flask-smorest: strictly, and with errors of ours."""

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
    """Parses input strictly and raises our errors. Each schema decides whether unknown members are errors."""

    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {}  # noqa: RUF012 (webargs declares it so)

    def load_json(self, req: Request, schema: Schema) -> Any:  # noqa: ARG002 (webargs' signature)
        """Return the body's JSON."""
        return json_body()

    def load_querystring(self, req: Request, schema: Schema) -> Any:  # noqa: ARG002 (webargs' signature)
        """Return the query's parameters; a repeated one is an error, since picking either value would be a guess."""
        # `?limit=1&limit=2`: proxies and frameworks differ in which one they pass on.
        repeated = {name: ["Must be given once."] for name, values in req.args.lists() if len(values) > 1}
        if repeated:
            raise ValidationError(repeated)
        return req.args.to_dict()

    def _process_location_data(self, location_data: Any, schema: Schema, *args: Any, **kwargs: Any) -> Any:
        """Load by the schema, in a thread where the body is large."""
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
        """Raise Invalid with a pointer for each wrong value."""
        ((location, messages),) = error.messages.items()  # type: ignore[union-attr]  # webargs wraps them so
        raise as_invalid(ValidationError(messages), _POINTER_PREFIXES[location]) from error
