"""Splits the body of a batch into jobs without parsing them all: ten thousand parsed jobs would take gigabytes.

A JSON body is cut at the items of its list `jobs`; the rest, with `{}` in place of each job, is parsed as a whole.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from shared.errors import BadRequest, Invalid
from shared.script.schema.loading import STRING, OverLimit, count_values, parse_strict_json

if TYPE_CHECKING:
    from collections.abc import Iterator

_JOBS = "jobs"
_TOKEN = re.compile(STRING + rb"|[{}\[\]]", re.DOTALL)
MAX_VALUES = 5_000_000  # of all jobs together
_MAX_CELL = 2**31 - 1  # characters: the csv module's maximum
_MAX_REPARSED_BYTES = 1024 * 1024  # bodies up to this size are parsed again to find where they are malformed


@dataclass(frozen=True, slots=True)
class Rows:
    """The jobs of a request: JSON text, a CSV row, or a JSON value that is not an object."""

    head: Any
    jobs: Sequence[Any]
    strict: bool = False  # whether a malformed job makes the whole body malformed

    def __len__(self) -> int:
        """Return the number of jobs."""
        return len(self.jobs)


class ByteSlices(Sequence[Any]):
    """A sequence of slices of a body, which are cut when accessed."""

    def __init__(self, body: bytes, spans: list[tuple[int, int] | Any]) -> None:
        self._body, self._spans = body, spans

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._spans)

    def __getitem__(self, at: Any) -> Any:
        """Return one item, or a list for a slice."""
        if isinstance(at, slice):
            return [self._cut(span) for span in self._spans[at]]
        return self._cut(self._spans[at])

    def _cut(self, span: Any) -> Any:
        return self._body[span[0] : span[1]] if isinstance(span, tuple) else span


@dataclass(frozen=True, slots=True)
class MalformedRow:
    """A row that gives no job, and the reason."""

    reason: str


def parse_json(body: bytes, max_jobs: int) -> Rows:
    """Split a JSON body; raise BadRequest, or Invalid where it has more than `max_jobs`."""
    if count_values(body) > MAX_VALUES:
        raise OverLimit(f"The body has more than {MAX_VALUES} values.")
    spans = list(islice(_job_spans(body), max_jobs + 1))
    if len(spans) > max_jobs:
        raise Invalid.at(f"#/{_JOBS}", f"Must have 1 to {max_jobs} jobs.")
    try:
        # Strict parsing of the rest catches duplicate members and anything that the scanner misread.
        head = parse_strict_json(_skeleton(body, spans))
    except OverLimit:
        raise
    except BadRequest:
        if len(body) <= _MAX_REPARSED_BYTES:
            parse_strict_json(body)
        raise BadRequest("The body is not JSON.") from None
    listed = head.get(_JOBS) if isinstance(head, dict) else None
    if not isinstance(listed, list):
        return Rows(head, (), strict=True)
    return Rows(head, ByteSlices(body, list(_match_spans(listed, spans))), strict=True)


def _match_spans(listed: list[Any], spans: list[tuple[int, int]]) -> Iterator[Any]:
    """Yield the span of each job, and values that are not objects as they are."""
    remaining = iter(spans)
    for item in listed:
        span = next(remaining, None) if item == {} else item
        if (span is None and item is not None) or isinstance(span, dict):
            raise BadRequest(f"The name of the member {_JOBS!r} must be written without escapes.")
        yield span


def _skeleton(body: bytes, spans: list[tuple[int, int]]) -> bytes:
    parts, at = [], 0
    for start, end in spans:
        parts += [body[at:start], b"{}"]
        at = end
    return b"".join([*parts, body[at:]])


def _job_spans(body: bytes) -> Iterator[tuple[int, int]]:
    """Yield the span of each object in the list `jobs` of the outermost object."""
    depth, start, name, inside = 0, 0, b"", False
    for match in _TOKEN.finditer(body):
        token = match[0]
        mark = token[0]
        if mark == 0x22:  # a string; at depth 1 it may be a member's name
            if depth == 1:
                name = token
        elif mark in b"{[":
            depth += 1
            if depth == 2:
                inside = mark == 0x5B and name == b'"jobs"'
            elif depth == 3 and inside:
                start = match.start() if mark == 0x7B else -1
        elif mark in b"}]":
            if depth == 3 and inside and start >= 0 and mark == 0x7D:
                yield start, match.end()
            depth -= 1


def parse_ndjson(body: bytes, max_jobs: int) -> Rows:
    """Split an NDJSON body at its non-empty lines. Stop after `max_jobs` + 1: enough to see that there are too many."""
    spans: list[tuple[int, int]] = []
    at = 0
    while at < len(body) and len(spans) <= max_jobs:
        end = body.find(b"\n", at)
        end = len(body) if end < 0 else end
        if body[at:end].strip():
            spans.append((at, end))
        at = end + 1
    return Rows({}, ByteSlices(body, list(spans)))


def parse_csv(body: bytes, max_jobs: int) -> Table:
    """Parse a CSV body whose first line names the columns, or raise BadRequest. Stop after `max_jobs` + 1 rows."""
    try:
        # Spreadsheets write a byte order mark, which would become part of the first column's name.
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(f"The CSV body is not UTF-8: byte {error.start + 1} is invalid.") from error
    # The csv module refuses cells over 128 KiB by default; a cell too long for its field must be that row's error instead.
    csv.field_size_limit(_MAX_CELL)
    # `newline=""`: otherwise line breaks inside of quoted cells are changed.
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = [name.strip() for name in next(lines, [])]
        rows = list(islice(filter(None, lines), max_jobs + 1))
    except csv.Error as error:
        raise BadRequest(f"The body is not CSV, at line {lines.line_num}: {error}.") from error
    if not columns or not all(columns) or len(set(columns)) < len(columns):
        raise BadRequest("The first line of a CSV body must give each column a name of its own.")
    return Table(columns, rows)


class Table(Sequence[Any]):
    """The rows of a CSV body, converted to dictionaries when accessed."""

    def __init__(self, columns: list[str], lines: list[list[str]]) -> None:
        self.columns, self.lines = columns, lines

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.lines)

    def __getitem__(self, at: Any) -> Any:
        """Return one item, or a list for a slice."""
        if isinstance(at, slice):
            return [self._row(cells) for cells in self.lines[at]]
        return self._row(self.lines[at])

    def _row(self, cells: list[str]) -> Any:
        if len(cells) != len(self.columns):
            return MalformedRow("Must have as many cells as the first line.")
        return dict(zip(self.columns, cells, strict=True))
