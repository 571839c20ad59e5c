"""Renders the pages for people. They run no script, and load nothing from another host."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from flask import Response, make_response, render_template
from markupsafe import Markup, escape

TEMPLATES = Path(__file__).parents[1] / "templates"
STYLE = Path(__file__).parents[1] / "static" / "docs.css"
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SPAN = re.compile("`([^`]+)`")


def mark_code(text: str) -> Markup:
    """Set what stands between backticks as code."""
    return Markup(_SPAN.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 (it is escaped before)


def render_page(template: str, **values: Any) -> Response:
    """Return a template as a response with the headers that all pages have."""
    response = make_response(render_template(template, **values))
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-cache"
    return response
