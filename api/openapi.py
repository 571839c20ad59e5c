"""How routes read their input and describe themselves: flask-smorest, with our JSON, our errors and our problem documents."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar, cast

import flask_smorest
from flask import Response, g
from marshmallow import Schema, ValidationError
from webargs.flaskparser import FlaskParser

from api.http.request_context import json_body
from api.http.response_docs import BASIC, HEADERS, OAUTH, SECURITY, describe_operation, oauth_flows
from api.schemas import openapi_fields
from api.schemas.responses import ProblemSchema
from api.server import offload
from shared.script.schema.loading import as_invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask, Request

P = ParamSpec("P")
R = TypeVar("R")
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
_POINTER_PREFIXES = {"json": "#", "query": "#"}


def creates(view: Callable[P, R]) -> Callable[P, R]:
    """Document that a route takes an Idempotency-Key."""
    return document(view, creates=True)


def fails(*statuses: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Document the statuses that a route of its own may be answered with."""
    return lambda view: document(view, fails=statuses)


def reads(*parameters: dict[str, Any]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Document the headers that a route reads itself."""
    return lambda view: document(view, reads=list(parameters))


def client_asks(view: Callable[P, R]) -> Callable[P, R]:
    """Document that a route is for those whom nobody knows yet: a client may come by HTTP Basic."""
    return document(view, anonymous=True)


def tells(*names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Document headers that all answers of a route have."""
    return lambda view: document(view, also=names)


def takes(body: dict[str, Any]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Document a body that no schema reads."""
    return lambda view: document(view, body=body)


def empty(view: Callable[P, None]) -> Callable[P, Response]:
    """Answer 204 when the view is done."""

    @wraps(view)
    def emptied(*args: P.args, **kwargs: P.kwargs) -> Response:
        view(*args, **kwargs)
        return no_content()

    return document(emptied, empty=True)


def no_content() -> Response:
    """Return an answer that says no more than its status: 204."""
    response = Response(status=HTTPStatus.NO_CONTENT)
    response.headers.pop("Content-Type", None)  # of nothing
    return response


def file_response(view: Callable[P, R]) -> Callable[P, R]:
    """Document that a route answers with a file, or a range of it."""
    return document(view, file=True)


def streams(
    media_type: str, about: str, *, over: str | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Document that a route answers with a stream of this type, and when with nothing since it is over."""
    answers = {200: {"description": about, "content": {media_type: {"schema": {"type": "string"}}}}}
    return lambda view: document(view, stream=answers | ({204: {"description": over}} if over else {}))


def document(view: Callable[P, R], **facts: Any) -> Callable[P, R]:
    """Write facts down beside a view, in flask-smorest's own place for them."""
    view._apidoc = {**getattr(view, "_apidoc", {}), **facts}  # type: ignore[attr-defined]  # noqa: SLF001
    return view


class StrictParser(FlaskParser):
    """Reads input strictly, and raises our errors. Whether unknown members are let through is the schema's choice."""

    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {}  # noqa: RUF012 (webargs declares it so)

    def load_json(self, req: Request, schema: Schema) -> Any:  # noqa: ARG002 (webargs' signature)
        """Return the body's JSON."""
        return json_body()

    def load_querystring(self, req: Request, schema: Schema) -> Any:  # noqa: ARG002 (webargs' signature)
        """Return the query's parameters; one that is given twice is an error, not a choice of ours."""
        twice = {name: ["Is given twice."] for name, values in req.args.lists() if len(values) > 1}
        if twice:
            raise ValidationError(twice)
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


class Resource(flask_smorest.Blueprint):  # type: ignore[misc]  # flask-smorest has no types
    """A blueprint of /v1."""

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, name: str, description: str) -> None:
        super().__init__(name, __name__, url_prefix="/v1", description=description)
        self._prepare_doc_cbks.append(describe_operation)

    def get(self, rule: str, **options: Any) -> Decorator:
        """Route GET here."""
        return cast("Decorator", super().get(rule, **options))

    def post(self, rule: str, **options: Any) -> Decorator:
        """Route POST here."""
        return cast("Decorator", super().post(rule, **options))

    def put(self, rule: str, **options: Any) -> Decorator:
        """Route PUT here."""
        return cast("Decorator", super().put(rule, **options))

    def head(self, rule: str, **options: Any) -> Decorator:
        """Route HEAD here, where there is nothing to GET."""
        return cast("Decorator", self.route(rule, methods=["HEAD"], **options))

    def patch(self, rule: str, **options: Any) -> Decorator:
        """Route PATCH here."""
        return cast("Decorator", super().patch(rule, **options))

    def delete(self, rule: str, **options: Any) -> Decorator:
        """Route DELETE here."""
        return cast("Decorator", super().delete(rule, **options))

    def arguments(self, schema: type[Schema], **options: Any) -> Decorator:
        """Hand the view what the schema makes of the request."""
        return cast("Decorator", super().arguments(schema, **options))

    def response(self, status_code: int, schema: type[Schema] | None = None, **options: Any) -> Decorator:
        """Write what the view returns by the schema."""
        return cast("Decorator", super().response(status_code, schema, **options))


class OpenApi(flask_smorest.Api):  # type: ignore[misc]  # flask-smorest has no types
    """The OpenAPI document of all resources. It answers no error itself: `api.problems` does."""

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_ERROR_RESPONSE_NAME = None  # each route names its own

    def init_app(self, app: Flask, *, spec_kwargs: Mapping[str, Any] | None = None) -> None:
        """Begin the document."""
        super().init_app(app, spec_kwargs=spec_kwargs)
        openapi_fields.register(self.ma_plugin.converter)
        self.spec.components.security_scheme(
            SECURITY, {"type": "http", "scheme": "bearer", "bearerFormat": "sm_live_<id>_<secret>_<checksum>"}
        )
        self.spec.components.security_scheme(OAUTH, {"type": "oauth2", "flows": oauth_flows()})
        self.spec.components.security_scheme(
            BASIC, {"type": "http", "scheme": "basic", "description": "An API key: its id, and the key."}
        )
        for name, (about, schema) in HEADERS.items():
            self.spec.components.header(name, {"description": about, "schema": schema})

    def _register_pagination_header(self) -> None:
        """Leave it out: pages here go on by a cursor in the body."""

    def _register_error_handlers(self) -> None:
        """Leave all errors to `api.problems`."""
