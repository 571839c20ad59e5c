"""Makes jobs of a batch's rows, a few at a time: merges the defaults in, checks each by the job's schema, counts scenes."""

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
MAX_SCENES = 100_000  # that are checked in one request; a few seconds are all that it may take
MAX_STORED = 500_000  # that are written down: those of a script that jobs share count for each of them
_ALL_INPUTS = frozenset(name for names in INPUTS.values() for name in names)
_MERGED = ("output", "metadata", "fields")


class TooManyScenes(Invalid):
    """The scripts of one request have more scenes together than a request may have."""


@dataclass(slots=True)
class RowChecker:
    """Makes jobs of a batch's rows. It counts their scenes, and knows what the defaults were loaded as."""

    defaults: dict[str, Any]
    strict: bool = False
    _known: dict[Any, Any] = field(default_factory=dict)
    _scenes: int = 0
    _stored: int = 0

    def __post_init__(self) -> None:
        """Have what the defaults hold checked once."""
        self._known = {id(value): None for value in self.defaults.values() if isinstance(value, dict)}

    def check(self, rows: Iterable[tuple[int, Any]]) -> tuple[list[tuple[int, JobSpec]], list[FieldError]]:
        """Return the good jobs with their numbers, and the place of everything wrong in the others."""
        good: list[tuple[int, JobSpec]] = []
        wrong: list[FieldError] = []
        with share_objects(self._known):
            for at, row in rows:
                try:
                    good.append((at, self._job(at, row)))
                except TooManyScenes:
                    raise
                except Invalid as error:
                    wrong += error.places
        return good, wrong

    def _job(self, at: int, row: Any) -> JobSpec:
        here = job_pointer(at)
        document = self._read(row, here)
        merged = merge_defaults(self.defaults, document) if isinstance(document, dict) else document
        self._count(merged)
        spec: JobSpec = load(_job, merged, here)
        shared = [self.defaults[name] for name in ("script", "brief") if name in self.defaults]
        usual = any(merged.get(name) is each for name in ("script", "brief") for each in shared)
        written = "#/defaults" if usual else here
        return replace(
            spec,
            sources=tuple(_moved(source, written) for source in spec.sources),
            speakers=tuple(_moved(speaker, written) for speaker in spec.speakers),
        )

    def _read(self, row: Any, here: str) -> Any:
        if isinstance(row, MalformedRow):
            raise Invalid.at(here, row.reason)
        if not isinstance(row, bytes):
            return row
        try:
            return parse_strict_json(row)
        except BadRequest as error:
            words = error.detail.replace("The body", "The job", 1)
            if self.strict:
                raise BadRequest(f"The body is not JSON, at {here}: {words}") from error
            raise Invalid.at(here, words) from error

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
                f"The scripts have more than {MAX_SCENES} scenes together, or {MAX_STORED} with those that jobs share.",
            )


def _moved(named: T, base: str) -> T:
    """Return a source or speaker of a job as one below the pointer `base`."""
    return named._replace(pointer=base + named.pointer.removeprefix("#"))


def job_pointer(at: int) -> str:
    """Return the pointer to a job of a batch, whatever form it came in."""
    return json_pointer("#", "jobs", at)


def job_index(where: str) -> int | None:
    """Return which job a pointer leads into, or None where it leads into what jobs share."""
    parts = where.split("/", 3)
    return int(parts[2]) if len(parts) > 2 and parts[1] == "jobs" else None


def numbered_chunks(rows: Sequence[Any], size: int) -> Iterator[list[tuple[int, Any]]]:
    """Give the rows with their numbers, a few at a time."""
    for start in range(0, len(rows), size):
        yield list(enumerate(rows[start : start + size], start))


def merge_defaults(defaults: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    """Put a job over the defaults.

    It does not inherit what its kind cannot have, nor, if it is made of something of its own, what others are made of.
    """
    own = _ALL_INPUTS & job.keys()
    kind = job.get("kind", defaults.get("kind"))
    known = INPUTS.get(kind, _ALL_INPUTS) if isinstance(kind, str) else _ALL_INPUTS
    usual = {name: value for name, value in defaults.items() if not _is_not_inherited(name, own, known)}
    if kind == "script":
        usual.pop("output", None)
    members = {
        name: {**usual[name], **job[name]}
        for name in _MERGED
        if isinstance(usual.get(name), dict) and isinstance(job.get(name), dict)
    }
    return {**usual, **job, **members}


def _is_not_inherited(name: str, own: Iterable[str], known: Iterable[str]) -> bool:
    if name in TEMPLATE_MEMBERS:
        return bool(own) or "template_id" not in known
    return name in _ALL_INPUTS and (bool(own) or name not in known)


_job = JobSchema()
