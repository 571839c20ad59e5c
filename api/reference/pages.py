"""Routes of /openapi.json, /docs and /problems: rendered on the server, without scripts or resources of other hosts."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import (
    Blueprint,
    Response,
    current_app,
    jsonify,
    request,
    send_file,
)

from api.http import conditional_requests
from api.reference import content
from api.reference.rendering import STYLE, mark_code, render_page
from shared.errors import NotFound

blueprint = Blueprint("docs", __name__)
blueprint.add_app_template_filter(mark_code, "spans")


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
    return render_page("docs.html", reference=content.build_reference(_document()))


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
    return render_page("problem.html", code=code, meaning=meaning, phrase=phrase)


def _document() -> dict[str, Any]:
    document: dict[str, Any] = current_app.extensions["openapi"].to_dict()
    return document
