"""Reads the jobs of a batch from JSON or NDJSON, and knows on which line each of them stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scenemill.cli import documents
from scenemill.cli.hints import Posted, in_text

if TYPE_CHECKING:
    from collections.abc import Sequence

MEMBERS = ("jobs", "defaults", "on_invalid", "webhook")


@dataclass(frozen=True)
class BatchFile:
    """The jobs of a batch, what else its file says of it, and where it says so."""

    jobs: Sequence[Any]
    posted: Posted
    options: dict[str, Any] = field(default_factory=dict)


def read_json(content: bytes, name: str) -> BatchFile:
    """Read a list of jobs, or a batch with its defaults, or raise Unreadable."""
    document = documents.parse(content, name)
    text = content.decode("utf-8-sig")
    if isinstance(document, list):
        return BatchFile(document, Posted({"jobs": document}, name, in_text(text, "jobs")))
    if not isinstance(document, dict) or not isinstance(document.get("jobs"), list):
        raise documents.Unreadable(f"{name} must be a list of jobs, or an object with `jobs`, a list.")
    if unknown := set(document) - set(MEMBERS):
        raise documents.Unreadable(
            f"{name} has an unknown member {min(unknown)!r}. Known: {', '.join(MEMBERS)}."
        )
    options = {key: value for key, value in document.items() if key != "jobs"}
    return BatchFile(document["jobs"], Posted(document, name, in_text(text)), options)


def read_lines(content: bytes, name: str) -> BatchFile:
    """Read a job a line, or raise Unreadable with the line that is none."""
    jobs, numbers = [], []
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            jobs.append(_job(line, f"{name}, line {number}"))
            numbers.append(number)

    def line_of_job(steps: list[str]) -> int | None:
        index = int(steps[1]) if steps[:1] == ["jobs"] and steps[1:] and steps[1].isdecimal() else -1
        return numbers[index] if 0 <= index < len(numbers) else None

    return BatchFile(jobs, Posted({"jobs": jobs}, name, line_of_job))


def _job(line: bytes, place: str) -> dict[str, Any]:
    try:
        return documents.parse_object(line, "the job")
    except documents.Unreadable as error:
        raise documents.Unreadable(f"{place}: {error.message}") from None
