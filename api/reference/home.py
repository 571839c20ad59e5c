"""The start page at `/`: for a person a page with the links and a first video, for a program the same links as JSON."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from flask import Blueprint, Response, jsonify, request, send_file

from api.http.request_context import config
from api.reference import guide
from api.reference.rendering import render_page
from shared.errors import NotFound

# What the start page shows of the folder that `SCENEMILL_DEMO_DIR` names. No other file of it is served.
DEMO_FILES = {"video.mp4": "video/mp4", "poster.jpg": "image/jpeg", "captions.vtt": "text/vtt"}

blueprint = Blueprint("home", __name__)


@blueprint.get("/")
def home() -> Response:
    """Return the start page to a browser, and an index of links to everything else."""
    # A browser names text/html. curl and most libraries accept anything, and get what a program can read.
    wants_page = request.accept_mimetypes.best_match(("application/json", "text/html")) == "text/html"
    response = render_page("home.html", links=_links(), demo=_demo_files()) if wants_page else _index()
    response.headers["Vary"] = "Accept"
    return response


@blueprint.get("/demo/<name>")
def demo_file(name: str) -> Response:
    """Return a file of the video that the start page plays, or a range of it."""
    if name not in _demo_files():
        raise NotFound("There is no such file.")
    folder = config().demo_dir
    assert folder is not None  # noqa: S101 (it has files)
    return send_file(folder.resolve() / name, DEMO_FILES[name], conditional=True, max_age=0)


def _index() -> Response:
    response = jsonify({"name": "Scenemill", "version": version("scenemill"), "links": _links()})
    response.headers["Cache-Control"] = "no-cache"
    return response


def _links() -> dict[str, str]:
    found = {
        "reference": "/docs",
        "openapi": "/openapi.json",
        "guide": "/guide/" if guide.page_files() else "",
        "jobs": "/v1/jobs",
        "tasks": "/v1/tasks",
        "readiness": "/readyz",
        "metrics": "/metrics",
        "flower": config().flower_url,
    }
    return {name: link for name, link in found.items() if link}


def _demo_files() -> dict[str, Any]:
    """Return the names and addresses of the demo's files that are there."""
    folder = config().demo_dir
    return {name: f"/demo/{name}" for name in DEMO_FILES if folder and (folder / name).is_file()}
