"""The guide: the Markdown pages of `docs/` as HTML, for whoever opens a running Scenemill. A wheel has none of them."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Blueprint, Response, redirect, send_file
from markdown_it import MarkdownIt
from markupsafe import Markup

from api.reference.rendering import render_page
from shared.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token
    from werkzeug.wrappers import Response as BaseResponse

FOLDER = Path(__file__).parents[2] / "docs"
IMAGE_TYPES = {
    ".jpg": "image/jpeg", ".png": "image/png", ".svg": "image/svg+xml", ".webp": "image/webp",
}  # fmt: skip

blueprint = Blueprint("guide", __name__)


@blueprint.get("/guide")
def start() -> BaseResponse:
    """Lead to the first page: relative links of pages need the slash."""
    return redirect("/guide/", 308)


@blueprint.get("/guide/", defaults={"name": "index"})
@blueprint.get("/guide/<path:name>")
def page(name: str) -> Response:
    """Return a page of the guide."""
    file = page_files().get(name)
    if file is None:
        raise NotFound("The guide has no such page.")
    body, titles = _render(file, file.stat().st_mtime_ns)
    return render_page("guide.html", name=name, body=Markup(body), title=titles[0][1], titles=titles)  # noqa: S704 (our own pages)


@blueprint.get("/guide/images/<name>")
def image(name: str) -> Response:
    """Return a picture of the guide."""
    file = FOLDER / "images" / name
    if file.suffix not in IMAGE_TYPES or not file.is_file():
        raise NotFound("The guide has no such picture.")
    response = send_file(file, IMAGE_TYPES[file.suffix], conditional=True, max_age=3600)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def page_files() -> dict[str, Path]:
    """Return the Markdown files by the name that their address ends with."""
    files = (*FOLDER.glob("*.md"), *FOLDER.glob("adr/*.md"))
    return {file.relative_to(FOLDER).with_suffix("").as_posix(): file for file in files}


def diagram_name(source: str) -> str:
    """Return the name of the picture that is drawn of a Mermaid diagram (`make diagrams`)."""
    return f"diagram-{hashlib.sha256(source.encode()).hexdigest()[:12]}.svg"


def slug(heading: str) -> str:
    """Return the anchor of a heading, as repository hosts make it, so that links work in both places."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@lru_cache(maxsize=64)
def _render(file: Path, _modified: int) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return a page's HTML, and its title and headings with their anchors."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(file.read_text(encoding="utf-8"))
    titles = []
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and following is not None:
            anchor = slug(_plain_text(following))
            token.attrSet("id", anchor)
            if token.tag in ("h1", "h2"):
                titles.append((anchor, _plain_text(following)))
        elif token.type == "fence" and token.info == "mermaid":
            _show_diagram(token, file)
        for child in token.children or []:
            if child.type == "link_open":
                child.attrSet("href", _resolve_link(str(child.attrGet("href")), file))
            elif child.type == "image":
                child.attrSet("src", f"/guide/images/{Path(str(child.attrGet('src'))).name}")
    return str(parser.renderer.render(tokens, parser.options, {})), tuple(titles)


def _plain_text(token: Token) -> str:
    return "".join(child.content for child in _texts(token))


def _texts(token: Token) -> Iterator[Token]:
    return (child for child in token.children or [] if child.type in ("text", "code_inline"))


def _resolve_link(target: str, file: Path) -> str:
    """Return where a link of a page leads here; to its own page where it names a file that is not part of the guide."""
    if target.startswith(("http:", "https:", "#")):
        return target
    path, _, anchor = target.partition("#")
    there = (file.parent / path).resolve()
    if not there.is_relative_to(FOLDER) or there.suffix != ".md":
        return "#"
    name = there.relative_to(FOLDER).with_suffix("").as_posix()
    return "/guide/" + ("" if name == "index" else name) + (f"#{anchor}" if anchor else "")


def _show_diagram(token: Token, file: Path) -> None:
    """Put the drawn picture in the place of a diagram's source; where nobody has drawn it, the source stays."""
    name = diagram_name(token.content)
    if (FOLDER / "images" / name).is_file():
        token.type, token.tag = "html_block", ""
        token.content = f'<p><img src="/guide/images/{name}" alt="Diagram of {file.stem}"></p>\n'
