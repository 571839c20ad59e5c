"""Many jobs at once, and what they have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from marshmallow import ValidationError, post_load

from shared.schemas.containers import Items, Object, sharing
from shared.schemas.fields import Checked, Choice
from shared.schemas.job import KINDS, MADE_OF, TEMPLATED, JobSchema, JobSpec
from shared.schemas.loading import Strict, pointer

MAX_JOBS = 1000
MAX_SCENES = 50_000  # of all jobs together; a second or two is all that a request may take
_SUBJECTS = frozenset(name for names in MADE_OF.values() for name in names)
_MERGED = ("output", "metadata", "fields")


@dataclass(frozen=True, slots=True)
class BatchSpec:
    """The jobs of a batch, the defaults already in each."""

    jobs: tuple[JobSpec, ...]


class JobDefaultsSchema(JobSchema):
    """Any members of a job."""

    kind = Choice(KINDS)


class Defaults(Checked):
    """Any members of a job, each checked as in a job; whether they make one is seen when they are merged."""

    def check(self, value: Any) -> dict[str, Any]:
        """Return the members as they came."""
        if not isinstance(value, dict):
            raise ValidationError("Must be an object.")
        errors: dict[str, Any] = {}
        for name, each in value.items():
            try:
                _check_member(name, each)
            except ValidationError as error:
                errors[name] = error.messages
        if errors:
            raise ValidationError(errors)
        return value

    def described(self, converter: Any) -> dict[str, Any]:
        """Describe a job of which nothing is required."""
        reference: dict[str, Any] = converter.resolve_nested_schema(_members)
        return reference


class BatchSchema(Strict):
    """Jobs; what a job does not say, it takes from `defaults`. `output`, `metadata` and `fields` are merged member by member."""

    jobs = Items(Object(JobSchema), least=1, most=MAX_JOBS, required=True)
    defaults = Defaults(about="A job's own member wins.")

    def load(self, data: Any, **kwargs: Any) -> Any:
        """Merge the defaults into each job, then load. Wrong defaults are told of once, not in each job."""
        with sharing():
            if isinstance(data, dict) and "defaults" in data:
                try:
                    self.fields["defaults"].deserialize(data["defaults"])
                except ValidationError as error:
                    raise ValidationError({"defaults": error.messages}) from error
                data = _merged(data)
            _refuse_scenes(data)
            return super().load(data, **kwargs)

    @post_load(pass_original=True)
    def _make(self, data: dict[str, Any], original: Any, **_: Any) -> BatchSpec:
        usual = original.get("defaults", {}).get("script")
        places = (
            "#/defaults" if usual and job.get("script") is usual else pointer("#", "jobs", at)
            for at, job in enumerate(original["jobs"])
        )
        return BatchSpec(tuple(_placed(job, place) for job, place in zip(data["jobs"], places, strict=True)))


def _refuse_scenes(data: Any) -> None:
    """Refuse more scenes than a request can check; a script that jobs share counts once."""
    jobs = data.get("jobs") if isinstance(data, dict) else None
    listed = jobs if isinstance(jobs, list) else []
    scripts = {
        id(script): script for job in listed if isinstance(job, dict) and (script := job.get("script"))
    }
    scenes = (script.get("scenes") for script in scripts.values() if isinstance(script, dict))
    if sum(len(each) for each in scenes if isinstance(each, list)) > MAX_SCENES:
        raise ValidationError({"jobs": [f"The scripts have more than {MAX_SCENES} scenes together."]})


def _check_member(name: str, value: Any) -> None:
    field = _members.load_fields.get(name)
    if field is None:
        raise ValidationError("Unknown field.")
    field.deserialize(value)


def _merged(data: dict[str, Any]) -> dict[str, Any]:
    jobs = data.get("jobs")
    if not isinstance(jobs, list) or len(jobs) > MAX_JOBS:
        return data
    return {**data, "jobs": [_merge(data["defaults"], job) if isinstance(job, dict) else job for job in jobs]}


def _merge(defaults: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    """Put a job over the defaults. One that is made of something of its own does not inherit what others are made of."""
    own = _SUBJECTS & job.keys()
    usual = {
        name: value
        for name, value in defaults.items()
        if not (own and (name in _SUBJECTS or name in TEMPLATED))
    }
    members = {
        name: {**usual[name], **job[name]}
        for name in _MERGED
        if isinstance(usual.get(name), dict) and isinstance(job.get(name), dict)
    }
    return {**usual, **job, **members}


def _placed(job: JobSpec, place: str) -> JobSpec:
    """Let the job's sources point into the batch, to where the client wrote them."""
    return replace(job, sources=tuple((place + where.removeprefix("#"), src) for where, src in job.sources))


_members = JobDefaultsSchema()
