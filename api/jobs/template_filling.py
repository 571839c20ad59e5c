"""Fills the templates that jobs name with the jobs' fields, and reports wrong values by field name."""

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

MAX_INLINE_JOBS = 8  # filled without a thread: about a millisecond each
MAX_CACHED = 256  # templates
MAX_ERRORS_PER_JOB = 10  # of a further job, once other jobs have MAX_ERRORS
TemplateKey = tuple[str, int | None]
_cached_templates: dict[tuple[UUID, str, int, bool], Template] = {}


def fill_templates(
    session: Session, account_id: UUID, specs: Sequence[JobSpec], places: Sequence[str]
) -> list[JobSpec]:
    """Return the jobs, with scripts in place of templates; raise Invalid with the place of every wrong value."""
    keys = {_template_key(spec) for spec in specs if spec.template_id}
    if not keys:
        return list(specs)
    versions = find_all(session, account_id, keys)
    if len(specs) <= MAX_INLINE_JOBS:
        return _fill_jobs(account_id, specs, places, versions)
    return offload.run(_fill_jobs, account_id, specs, places, versions)


def find_template(session: Session, account_id: UUID, template_id: str, version: int | None) -> Template:
    """Return a template of the account, or raise Invalid with the query parameter that names it."""
    key = template_id, version
    versions = find_all(session, account_id, [key])
    if key not in versions:
        name = "template_id" if version is None else "template_version"
        raise Invalid.at(json_pointer("#", name), "There is no such template. GET /v1/templates lists them.")
    return _load_template(account_id, versions[key])


def _template_key(spec: JobSpec) -> TemplateKey:
    return spec.template_id or "", spec.template_version


def _fill_jobs(
    account_id: UUID,
    specs: Sequence[JobSpec],
    places: Sequence[str],
    versions: Mapping[TemplateKey, TemplateVersion],
) -> list[JobSpec]:
    templates = {key: _load_template(account_id, version) for key, version in versions.items()}
    filled: list[JobSpec] = []
    errors: list[tuple[str, str]] = []
    for spec, place in zip(specs, places, strict=True):
        try:
            filled.append(_fill_job(spec, place, versions, templates) if spec.template_id else spec)
        except Invalid as error:
            # Every bad job must appear among the errors: with on_invalid=skip the others are filled again without them.
            errors += error.places if len(errors) < MAX_ERRORS else error.places[:MAX_ERRORS_PER_JOB]
    if errors:
        raise Invalid.listing(errors)
    return filled


def _fill_job(
    spec: JobSpec,
    place: str,
    versions: Mapping[TemplateKey, TemplateVersion],
    templates: Mapping[TemplateKey, Template],
) -> JobSpec:
    key = _template_key(spec)
    if key not in versions:
        raise _unknown_template(spec, place)
    try:
        result = fill_template(templates[key], spec.fields)
    except ValidationError as error:
        raise as_invalid(error, place) from error
    version = versions[key]

    def at(field: str | None) -> str:
        return json_pointer(place, "fields", field) if field else json_pointer(place, "template_id")

    return replace(
        spec, script=result.script, template=(version.template_id, version.version),
        sources=tuple(source._replace(pointer=at(field)) for field, source in result.sources),
        speakers=tuple(speaker._replace(pointer=at(field)) for field, speaker in result.speakers),
        template_id=None, template_version=None, fields={},
    )  # fmt: skip


def _unknown_template(spec: JobSpec, place: str) -> Invalid:
    if spec.template_version is None:
        return Invalid.at(
            json_pointer(place, "template_id"), "There is no such template. GET /v1/templates lists them."
        )
    where = json_pointer(place, "template_version")
    return Invalid.at(
        where, "The template has no such version. GET /v1/templates/{template_id}/versions lists them."
    )


def _load_template(account_id: UUID, version: TemplateVersion) -> Template:
    """Return a stored version as a Template. Versions never change, so that they are cached."""
    cache_key = (account_id, version.template_id, version.version, version.built_in)
    template = _cached_templates.get(cache_key)
    if template is None:
        if len(_cached_templates) >= MAX_CACHED:
            _cached_templates.clear()
        template = _cached_templates[cache_key] = load(TemplateSchema(), version.body)
    return template
