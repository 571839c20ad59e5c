"""How a route declares itself: `Resource.documented` checks the caller, reads input, writes replies, and documents it all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypedDict, cast

import flask_smorest
from flask import Response

from api.auth import check_scope
from api.http import query_params
from api.http.request_context import empty_body_as_object
from api.openapi.operation_docs import (
    BASIC,
    HEADERS,
    OAUTH,
    SECURITY,
    describe_operation,
    header_refs,
    oauth_flows,
)
from api.openapi.parsing import StrictParser
from api.schemas import openapi_fields
from api.schemas.responses import ProblemSchema

if TYPE_CHECKING:
    from typing import Unpack

    from flask import Flask
    from marshmallow import Schema

View = Callable[..., Any]
Decorator = Callable[[View], View]
_PARSED = ("query", "json", "replies")  # what flask-smorest documents itself


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply that a route gives: its schema, unless it has no body; what it means; and headers of its own."""

    schema: type[Schema] | None = None
    about: str | None = None
    headers: tuple[str, ...] = ()


class Operation(TypedDict, total=False):
    """What a route declares. All of it appears in the OpenAPI document; the first five members are enforced too."""

    scope: str | None  # that the caller's key or token needs; None: any known caller
    public: bool  # whether anyone may call it; then `scope` does not count
    accepts_basic: bool  # whether a public route reads a client's credentials from HTTP Basic
    query: type[Schema]  # the view's first argument; without it, any query parameter is refused
    json: type[Schema]  # the schema of a JSON body: the view's next argument
    optional_body: bool  # whether no body is read as {}
    replies: Mapping[int, type[Schema] | Reply]  # by status, the usual one first; 204 may be a bare Reply()
    file: bool  # whether it answers with a file, or a range of it
    stream: Mapping[int, Any]  # see `stream_replies`
    body: dict[str, Any]  # a body that no schema reads, as OpenAPI describes it
    request_headers: tuple[dict[str, Any], ...]  # that the view reads itself
    response_headers: tuple[str, ...]  # of all replies
    errors: tuple[int, ...]  # statuses of its own, beside those that every route has
    idempotent: bool  # whether it takes an Idempotency-Key


def stream_replies(media_type: str, about: str, *, ended: str | None = None) -> dict[int, Any]:
    """Describe a stream of this type; `ended` says when it is answered with 204 instead."""
    schema = {"schema": {"type": "string"}}
    replies: dict[int, Any] = {200: {"description": about, "content": {media_type: schema}}}
    return replies | ({204: {"description": ended}} if ended else {})


def no_content() -> Response:
    """Return an empty 204 response."""
    response = Response(status=HTTPStatus.NO_CONTENT)
    response.headers.pop("Content-Type", None)  # Flask sets one even where there is no body
    return response


class Resource(flask_smorest.Blueprint):  # type: ignore[misc]  # flask-smorest has no types
    """A blueprint under /v1 whose routes declare themselves by `documented`."""

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

    def patch(self, rule: str, **options: Any) -> Decorator:
        """Route PATCH here."""
        return cast("Decorator", super().patch(rule, **options))

    def delete(self, rule: str, **options: Any) -> Decorator:
        """Route DELETE here."""
        return cast("Decorator", super().delete(rule, **options))

    def head(self, rule: str, **options: Any) -> Decorator:
        """Route HEAD here, for a path without GET."""
        return cast("Decorator", self.route(rule, methods=["HEAD"], **options))

    def documented(self, **operation: Unpack[Operation]) -> Decorator:
        """Check the caller's scope, parse query and body, write the reply by its schema, and document all of it.

        Authorisation comes first: an unknown caller learns nothing of what a request should look like.
        """

        def decorate(view: View) -> View:
            view = self._reply(view, operation.get("replies", {}))
            view = self._parse(view, operation)
            # Outermost: input must not be parsed, and its errors not shown, for callers without the scope.
            view = _authorized(view, operation)
            facts: Any = {name: value for name, value in operation.items() if name not in _PARSED}
            facts["operation_id"] = view.__name__
            view._apidoc = {**getattr(view, "_apidoc", {}), **facts}  # type: ignore[attr-defined]  # noqa: SLF001 (flask-smorest's place)
            return view

        return decorate

    def _reply(self, view: View, replies: Mapping[int, type[Schema] | Reply]) -> View:
        """Write what the view returns by the first reply's schema; a Response of its own goes out as it is."""
        if HTTPStatus.NO_CONTENT in replies:
            view = _empty_reply(view)
        for status, reply in replies.items():
            described = reply if isinstance(reply, Reply) else Reply(reply)
            headers = {"headers": header_refs(*described.headers)} if described.headers else {}
            view = self.response(status, described.schema, description=described.about, **headers)(view)
        return view

    def _parse(self, view: View, operation: Operation) -> View:
        optional = operation.get("optional_body", False)
        if json := operation.get("json"):
            view = self.arguments(json, required=not optional)(view)
        if optional:
            view = empty_body_as_object(view)
        if query := operation.get("query"):
            view = self.arguments(query, location="query")(view)
        return view


def _authorized(view: View, operation: Operation) -> View:
    """Let only callers with the scope through, and no query parameter that the route does not declare."""
    if operation.get("public"):
        return view
    scope, refuses_query = operation.get("scope"), "query" not in operation

    @wraps(view)
    def authorized(*args: Any, **kwargs: Any) -> Any:
        check_scope(scope)
        if refuses_query:
            query_params.refuse_query()
        return view(*args, **kwargs)

    return authorized


def _empty_reply(view: View) -> View:
    @wraps(view)
    def emptied(*args: Any, **kwargs: Any) -> Any:
        result = view(*args, **kwargs)
        return no_content() if result is None else result

    return emptied


class OpenApi(flask_smorest.Api):  # type: ignore[misc]  # flask-smorest has no types
    """The OpenAPI document of all resources. Errors are left to `api.problems`."""

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_ERROR_RESPONSE_NAME = None  # each route names its own

    def init_app(self, app: Flask, *, spec_kwargs: Mapping[str, Any] | None = None) -> None:
        """Start the document with the security schemes and headers."""
        super().init_app(app, spec_kwargs=spec_kwargs)
        openapi_fields.register(self.ma_plugin.converter)
        self.spec.components.security_scheme(
            SECURITY, {"type": "http", "scheme": "bearer", "bearerFormat": "sm_live_<id>_<secret>_<checksum>"}
        )
        self.spec.components.security_scheme(OAUTH, {"type": "oauth2", "flows": oauth_flows()})
        self.spec.components.security_scheme(
            BASIC,
            {
                "type": "http",
                "scheme": "basic",
                "description": "An API key: its id as user name, the key as password.",
            },
        )
        for name, (about, schema) in HEADERS.items():
            self.spec.components.header(name, {"description": about, "schema": schema})

    def _register_pagination_header(self) -> None:
        """Leave it out: pages are linked by a cursor in the body."""

    def _register_error_handlers(self) -> None:
        """Leave errors to `api.problems`."""
