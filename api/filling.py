"""Puts the script that a template and a job's fields make in the template's place, and tells by name which field is wrong."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from marshmallow import ValidationError

from api import aside
from shared.errors import Invalid
from shared.schemas.loading import MAX_ERRORS, invalid, load, pointer
from shared.schemas.template import TemplateSchema, fill
from shared.templates import built_in_body
from shared.templates.versions import find_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

    from shared.schemas.job import JobSpec
    from shared.schemas.template import Template
    from shared.templates.versions import Version

FEW = 8  # jobs are filled where they stand; it is a millisecond for each
Asked = tuple[str, int | None]


def filled(
    session: Session, account_id: UUID, specs: Sequence[JobSpec], places: Sequence[str]
) -> list[JobSpec]:
    """Return the jobs, those of a template with their script; or raise Invalid with the place of everything wrong."""
    asked = {_asked(spec) for spec in specs if spec.template_id}
    if not asked:
        return list(specs)
    found = find_all(session, account_id, asked)
    if len(specs) <= FEW:
        return _fill_all(specs, places, found)
    return aside.run(_fill_all, specs, places, found)


def _asked(spec: JobSpec) -> Asked:
    return spec.template_id or "", spec.template_version


def _fill_all(
    specs: Sequence[JobSpec], places: Sequence[str], found: Mapping[Asked, Version]
) -> list[JobSpec]:
    templates = {asked: _template(version) for asked, version in found.items()}
    made: list[JobSpec] = []
    wrong: list[tuple[str, str]] = []
    for spec, place in zip(specs, places, strict=True):
        try:
            made.append(_fill(spec, place, found, templates) if spec.template_id else spec)
        except Invalid as error:
            wrong += error.args[1]
            if len(wrong) >= MAX_ERRORS:
                break
    if wrong:
        number = "One value is" if len(wrong) == 1 else f"{len(wrong)} values are"
        raise Invalid(f"{number} wrong.", tuple(wrong[:MAX_ERRORS]))
    return made


def _fill(
    spec: JobSpec, place: str, found: Mapping[Asked, Version], templates: Mapping[Asked, Template]
) -> JobSpec:
    asked = _asked(spec)
    if asked not in found:
        raise _unknown(spec, place)
    try:
        one = fill(templates[asked], spec.fields)
    except ValidationError as error:
        raise invalid(error, place) from error
    sources = tuple(
        (pointer(place, "fields", field) if field else pointer(place, "template_id"), src)
        for field, src in one.sources
    )
    version = found[asked]
    return replace(
        spec, script=one.script, sources=sources, template=(version.template_id, version.version),
        template_id=None, template_version=None, fields={},
    )  # fmt: skip


def _unknown(spec: JobSpec, place: str) -> Invalid:
    if spec.template_version is None:
        return Invalid(
            "One value is wrong.", ((pointer(place, "template_id"), "There is no such template."),)
        )
    where = pointer(place, "template_version")
    return Invalid("One value is wrong.", ((where, "The template has no such version."),))


def _template(version: Version) -> Template:
    if version.built_in:
        return _built_in(version.template_id)
    template: Template = load(TemplateSchema(), version.body)
    return template


@lru_cache
def _built_in(template_id: str) -> Template:
    template: Template = load(TemplateSchema(), built_in_body(template_id))
    return template
