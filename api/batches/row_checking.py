"""Turns a batch's rows into jobs: merges the defaults in, checks each by the job's schema, and counts scenes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from api.batches.row_parsing import MalformedRow
from api.schemas.job import INPUTS, TEMPLATE_MEMBERS, JobSchema, JobSpec
from shared.errors import BadRequest, Invalid
from shared.script.schema.containers import share_objects
from shared.script.schema.loading import json_pointer, load, parse_strict_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from api.schemas.job import FieldError
    from api.schemas.speakers import Speaker
    from shared.script.schema.canonical import NamedSource

T = TypeVar("T", "NamedSource", "Speaker")
MAX_SCENES = 100_000  # that are checked in one request: a few seconds of CPU
MAX_STORED = 500_000  # that are stored: the scenes of a shared script count for every job that uses it
_ALL_INPUTS = frozenset(name for names in INPUTS.values() for name in names)
_MERGED = ("output", "metadata", "fields")


class TooManyScenes(Invalid):
    """The scripts of one request have too many scenes together."""


@dataclass(slots=True)
class RowChecker:
    """Turns rows into jobs, counts their scenes, and loads what the defaults share only once."""

    defaults: dict[str, Any]
    strict: bool = False
    _known: dict[Any, Any] = field(default_factory=dict)
    _scenes: int = 0
    _stored: int = 0

    def __post_init__(self) -> None:
        """Register the objects in the defaults, so that each is checked once for all jobs."""
        self._known = {id(value): None for value in self.defaults.values() if isinstance(value, dict)}

    def check(self, rows: Iterable[tuple[int, Any]]) -> tuple[list[tuple[int, JobSpec]], list[FieldError]]:
        """Return the valid jobs with their indexes, and the errors of the others."""
        valid: list[tuple[int, JobSpec]] = []
        errors: list[FieldError] = []
        with share_objects(self._known):
            for at, row in rows:
                try:
                    valid.append((at, self._job(at, row)))
                except TooManyScenes:
                    raise
                except Invalid as error:
                    errors += error.places
        return valid, errors

    def _job(self, at: int, row: Any) -> JobSpec:
        at_job = job_pointer(at)
        document = self._read(row, at_job)
        merged = merge_defaults(self.defaults, document) if isinstance(document, dict) else document
        self._count(merged)
        spec: JobSpec = load(_job, merged, at_job)
        shared = [self.defaults[name] for name in ("script", "brief") if name in self.defaults]
        is_shared = any(merged.get(name) is value for name in ("script", "brief") for value in shared)
        base = "#/defaults" if is_shared else at_job
        return replace(
            spec,
            sources=tuple(_moved(source, base) for source in spec.sources),
            speakers=tuple(_moved(speaker, base) for speaker in spec.speakers),
        )

    def _read(self, row: Any, at_job: str) -> Any:
        if isinstance(row, MalformedRow):
            raise Invalid.at(at_job, row.reason)
        if not isinstance(row, bytes):
            return row
        try:
            return parse_strict_json(row)
        except BadRequest as error:
            reason = error.detail.replace("The body", "The job", 1)
            if self.strict:
                raise BadRequest(f"The body is not JSON, at {at_job}: {reason}") from error
            raise Invalid.at(at_job, reason) from error

    def _count(self, job: Any) -> None:
        script = job.get("script") if isinstance(job, dict) else None
        scenes = script.get("scenes") if isinstance(script, dict) else None
        scene_count = len(scenes) if isinstance(scenes, list) else 0
        self._stored += scene_count
        if self._known.get(id(script)) is None:
            self._scenes += scene_count
        if self._scenes > MAX_SCENES or self._stored > MAX_STORED:
            raise TooManyScenes.at(
                "#/jobs",
                f"The scripts have more than {MAX_SCENES} scenes together, or more than {MAX_STORED} counting shared "
                "scripts once for each job. Split the batch.",
            )


def _moved(named: T, base: str) -> T:
    """Return a source or speaker of a job with its pointer moved below `base`."""
    return named._replace(pointer=base + named.pointer.removeprefix("#"))


def job_pointer(at: int) -> str:
    """Return the pointer to a job of a batch, in any of the three formats."""
    return json_pointer("#", "jobs", at)


def job_index(where: str) -> int | None:
    """Return the index of the job that a pointer leads into, or None where it leads into what all jobs share."""
    parts = where.split("/", 3)
    return int(parts[2]) if len(parts) > 2 and parts[1] == "jobs" else None


def numbered_chunks(rows: Sequence[Any], size: int) -> Iterator[list[tuple[int, Any]]]:
    """Yield the rows with their indexes, `size` at a time."""
    for start in range(0, len(rows), size):
        yield list(enumerate(rows[start : start + size], start))


def merge_defaults(defaults: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    """Return a job merged over the defaults.

    It inherits no member that its kind does not support, and no input if it has one of its own.
    """
    own_inputs = _ALL_INPUTS & job.keys()
    kind = job.get("kind", defaults.get("kind"))
    inputs = INPUTS.get(kind, _ALL_INPUTS) if isinstance(kind, str) else _ALL_INPUTS
    inherited = {
        name: value for name, value in defaults.items() if not _is_not_inherited(name, own_inputs, inputs)
    }
    if kind == "script":
        inherited.pop("output", None)
    members = {
        name: {**inherited[name], **job[name]}
        for name in _MERGED
        if isinstance(inherited.get(name), dict) and isinstance(job.get(name), dict)
    }
    return {**inherited, **job, **members}


def _is_not_inherited(name: str, own_inputs: Iterable[str], inputs: Iterable[str]) -> bool:
    if name in TEMPLATE_MEMBERS:
        return bool(own_inputs) or "template_id" not in inputs
    return name in _ALL_INPUTS and (bool(own_inputs) or name not in inputs)


_job = JobSchema()
