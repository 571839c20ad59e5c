"""Puts the script that a template and a job's fields make in the template's place, and tells by name which field is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marshmallow import ValidationError

from api.library.template_versions import find_all
from api.schemas.template import TemplateSchema, fill_template
from api.server import offload
from shared.errors import Invalid
from shared.script.schema.loading import MAX_ERRORS, as_invalid, json_pointer, load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

    from api.library.template_versions import TemplateVersion
    from api.schemas.job import JobSpec
    from api.schemas.template import Template

MAX_INLINE_JOBS = 8  # jobs are filled where they stand; it is a millisecond for each
MAX_CACHED = 256  # templates
MAX_ERRORS_PER_JOB = 10  # of what is wrong with a job, where much is wrong with others before it
TemplateKey = tuple[str, int | None]
_cached_templates: dict[tuple[UUID, str, int, bool], Template] = {}


def fill_templates(
    session: Session, account_id: UUID, specs: Sequence[JobSpec], places: Sequence[str]
) -> list[JobSpec]:
    """Return the jobs, those of a template with their script; or raise Invalid with the place of everything wrong."""
    asked = {_template_key(spec) for spec in specs if spec.template_id}
    if not asked:
        return list(specs)
    found = find_all(session, account_id, asked)
    if len(specs) <= MAX_INLINE_JOBS:
        return _fill_jobs(account_id, specs, places, found)
    return offload.run(_fill_jobs, account_id, specs, places, found)


def find_template(session: Session, account_id: UUID, template_id: str, version: int | None) -> Template:
    """Return a template of the account's, or raise Invalid at the place that names it."""
    asked = template_id, version
    found = find_all(session, account_id, [asked])
    if asked not in found:
        name = "template_id" if version is None else "template_version"
        raise Invalid.at(json_pointer("#", name), "There is no such template.")
    return _load_template(account_id, found[asked])


def _template_key(spec: JobSpec) -> TemplateKey:
    return spec.template_id or "", spec.template_version


def _fill_jobs(
    account_id: UUID,
    specs: Sequence[JobSpec],
    places: Sequence[str],
    found: Mapping[TemplateKey, TemplateVersion],
) -> list[JobSpec]:
    templates = {asked: _load_template(account_id, version) for asked, version in found.items()}
    made: list[JobSpec] = []
    wrong: list[tuple[str, str]] = []
    for spec, place in zip(specs, places, strict=True):
        try:
            made.append(_fill_job(spec, place, found, templates) if spec.template_id else spec)
        except Invalid as error:
            # Each bad job is named, at once: those that seem good are filled again without the others.
            wrong += error.places if len(wrong) < MAX_ERRORS else error.places[:MAX_ERRORS_PER_JOB]
    if wrong:
        raise Invalid.listing(wrong)
    return made


def _fill_job(
    spec: JobSpec,
    place: str,
    found: Mapping[TemplateKey, TemplateVersion],
    templates: Mapping[TemplateKey, Template],
) -> JobSpec:
    asked = _template_key(spec)
    if asked not in found:
        raise _unknown_template(spec, place)
    try:
        one = fill_template(templates[asked], spec.fields)
    except ValidationError as error:
        raise as_invalid(error, place) from error
    version = found[asked]

    def at(field: str | None) -> str:
        return json_pointer(place, "fields", field) if field else json_pointer(place, "template_id")

    return replace(
        spec, script=one.script, template=(version.template_id, version.version),
        sources=tuple(source._replace(pointer=at(field)) for field, source in one.sources),
        speakers=tuple(each._replace(pointer=at(field)) for field, each in one.speakers),
        template_id=None, template_version=None, fields={},
    )  # fmt: skip


def _unknown_template(spec: JobSpec, place: str) -> Invalid:
    if spec.template_version is None:
        return Invalid.at(json_pointer(place, "template_id"), "There is no such template.")
    where = json_pointer(place, "template_version")
    return Invalid.at(where, "The template has no such version.")


def _load_template(account_id: UUID, version: TemplateVersion) -> Template:
    """Return a version that is kept. It never changes, and so is read once for many jobs."""
    kept = (account_id, version.template_id, version.version, version.built_in)
    known = _cached_templates.get(kept)
    if known is None:
        if len(_cached_templates) >= MAX_CACHED:
            _cached_templates.clear()
        known = _cached_templates[kept] = load(TemplateSchema(), version.body)
    return known
