"""Routes of /openapi.json, /docs and /problems: rendered on the server, without scripts or resources of other hosts."""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import (
    Blueprint,
    Response,
    current_app,
    jsonify,
    make_response,
    render_template,
    request,
    send_file,
)
from markupsafe import Markup, escape

from api.http import conditional_requests
from api.reference import content
from shared.errors import NotFound

TEMPLATES = Path(__file__).parents[1] / "templates"
STYLE = Path(__file__).parents[1] / "static" / "docs.css"
POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

blueprint = Blueprint("docs", __name__)
_SPAN = re.compile("`([^`]+)`")


@blueprint.app_template_filter()
def spans(text: str) -> Markup:
    """Render text between backticks as code."""
    return Markup(_SPAN.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 (it is escaped before)


@blueprint.get("/openapi.json")
def document() -> Response:
    """Return the OpenAPI document."""
    response = jsonify(_document())
    response.add_etag()
    conditional_requests.check_if_match(response.get_etag()[0] or "")
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response


@blueprint.get("/docs")
def pages() -> Response:
    """Return the reference as one page."""
    return _page("docs.html", reference=content.build_reference(_document()))


@blueprint.get("/docs/docs.css")
def style() -> Response:
    """Return the style sheet of the pages."""
    return send_file(STYLE, "text/css", conditional=False, max_age=3600)


@blueprint.get("/problems/<code>")
def problem(code: str) -> Response:
    """Return the page that the `type` of a problem document names."""
    meaning = content.problem_types().get(code)
    if meaning is None:
        raise NotFound("There is no such type of problem.")
    has_phrase = meaning.status in set(HTTPStatus)  # 460 of tus is not in HTTPStatus
    phrase = HTTPStatus(meaning.status).phrase if has_phrase else meaning.title
    return _page("problem.html", code=code, meaning=meaning, phrase=phrase)


def _document() -> dict[str, Any]:
    document: dict[str, Any] = current_app.extensions["openapi"].to_dict()
    return document


def _page(template: str, **values: Any) -> Response:
    response = make_response(render_template(template, **values))
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-cache"
    return response
