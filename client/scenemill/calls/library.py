"""Templates, themes and voices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from scenemill.calls.reading import identity, nothing, one, pages, whole
from scenemill.core import requests
from scenemill.types.library import Template, TemplateSummary, Theme, Voice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scenemill.calls.reading import Reference
    from scenemill.core.steps import Flow, Items
    from scenemill.types.library import TemplateDocument


def templates(*, limit: int | None = None) -> Items[TemplateSummary]:
    """Give the templates of the account and those that are built in, without their scripts."""
    yield from pages(TemplateSummary, "/v1/templates", limit)


def template(template: Reference, *, version: int | None = None) -> Flow[Template]:
    """Return a template with its script: its newest version, or the one of this number."""
    return (yield from one(Template, requests.get(_path(template), version=version)))


def put_template(template: Reference, document: TemplateDocument | Mapping[str, Any]) -> Flow[Template]:
    """Store a template, or a new version of it where it has changed, and return it."""
    return (yield from one(Template, requests.put(_path(template), cast("Mapping[str, Any]", document))))


def delete_template(template: Reference) -> Flow[None]:
    """Delete a template with all its versions."""
    yield from nothing(requests.delete(_path(template)))


def template_versions(template: Reference, *, limit: int | None = None) -> Items[TemplateSummary]:
    """Give the versions of a template, newest first, without their scripts."""
    yield from pages(TemplateSummary, _path(template) + "/versions", limit)


def themes() -> Flow[tuple[Theme, ...]]:
    """Return the themes that a script may name."""
    return (yield from whole(Theme, "/v1/themes"))


def voices(language: str | None = None) -> Flow[tuple[Voice, ...]]:
    """Return the voices that a script may name: all, or those that speak a language, such as `en` or `pt-BR`."""
    return (yield from whole(Voice, "/v1/voices", language=language))


def _path(template: Reference) -> str:
    return requests.path("/v1/templates/{}", identity(template))
