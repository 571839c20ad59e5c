"""Takes the body of a batch apart without holding its jobs as values: ten thousand of them are bytes, read one by one.

A JSON body is cut at the items of its list `jobs`: what is left, each job replaced by `{}`, is parsed as a whole.
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
_MAX_CELL = 2**31 - 1  # characters: as many as the parser of tables can be told
_MAX_REPARSED_BYTES = 1024 * 1024  # a body up to here is parsed once more to tell where it goes wrong


@dataclass(frozen=True, slots=True)
class Rows:
    """The jobs of a request: each as JSON text, as the cells of a table, or as a value that is no job at all."""

    head: Any
    jobs: Sequence[Any]
    strict: bool = False  # whether a job that is no JSON makes the whole body none

    def __len__(self) -> int:
        """Return how many jobs there are."""
        return len(self.jobs)


class ByteSlices(Sequence[Any]):
    """Pieces of bytes that are cut out when they are asked for."""

    def __init__(self, body: bytes, spans: list[tuple[int, int] | Any]) -> None:
        self._body, self._spans = body, spans

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._spans)

    def __getitem__(self, at: Any) -> Any:
        """Return one, or those of a slice."""
        if isinstance(at, slice):
            return [self._cut(span) for span in self._spans[at]]
        return self._cut(self._spans[at])

    def _cut(self, span: Any) -> Any:
        return self._body[span[0] : span[1]] if isinstance(span, tuple) else span


@dataclass(frozen=True, slots=True)
class MalformedRow:
    """A row that makes no job, and why."""

    reason: str


def parse_json(body: bytes, most: int) -> Rows:
    """Cut a JSON body, or raise BadRequest; Invalid where it has more jobs than `most`."""
    if count_values(body) > MAX_VALUES:
        raise OverLimit(f"The body has more than {MAX_VALUES} values.")
    spans = list(islice(_job_spans(body), most + 1))
    if len(spans) > most:
        raise Invalid.at(f"#/{_JOBS}", f"Must have 1 to {most} items.")
    try:
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
    """Give the place of each job that was cut out, and what is no object as it is."""
    left = iter(spans)
    for each in listed:
        span = next(left, None) if each == {} else each
        if (span is None and each is not None) or isinstance(span, dict):
            raise BadRequest(f"The member {_JOBS!r} must be written without escapes.")
        yield span


def _skeleton(body: bytes, spans: list[tuple[int, int]]) -> bytes:
    kept, at = [], 0
    for start, end in spans:
        kept += [body[at:start], b"{}"]
        at = end
    return b"".join([*kept, body[at:]])


def _job_spans(body: bytes) -> Iterator[tuple[int, int]]:
    """Give the place of each object in the list that the outermost object calls `jobs`."""
    depth, start, name, inside = 0, 0, b"", False
    for match in _TOKEN.finditer(body):
        token = match[0]
        mark = token[0]
        if mark == 0x22:  # a string; at depth 1 it may be a name
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


def parse_ndjson(body: bytes, most: int) -> Rows:
    """Cut a body of lines; empty ones are none. One more than `most` is enough to see that there are too many."""
    spans: list[tuple[int, int]] = []
    at = 0
    while at < len(body) and len(spans) <= most:
        end = body.find(b"\n", at)
        end = len(body) if end < 0 else end
        if body[at:end].strip():
            spans.append((at, end))
        at = end + 1
    return Rows({}, ByteSlices(body, list(spans)))


def parse_csv(body: bytes, most: int) -> Table:
    """Cut a CSV file whose first line names the columns, or raise BadRequest. It stops as `of_lines` does."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(f"The table is not UTF-8: byte {error.start + 1} is wrong.") from error
    # A cell may be as long as the body, which has a limit of its own: what is too long for its field is its row's error.
    csv.field_size_limit(_MAX_CELL)
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = [name.strip() for name in next(lines, [])]
        found = list(islice(filter(None, lines), most + 1))
    except csv.Error as error:
        raise BadRequest(f"The table is not CSV, at line {lines.line_num}: {error}.") from error
    if not columns or not all(columns) or len(set(columns)) < len(columns):
        raise BadRequest("The table's first line must name each column, and each differently.")
    return Table(columns, found)


class Table(Sequence[Any]):
    """Lines of a table, as dictionaries when they are asked for."""

    def __init__(self, columns: list[str], lines: list[list[str]]) -> None:
        self.columns, self.lines = columns, lines

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.lines)

    def __getitem__(self, at: Any) -> Any:
        """Return one, or those of a slice."""
        if isinstance(at, slice):
            return [self._row(cells) for cells in self.lines[at]]
        return self._row(self.lines[at])

    def _row(self, cells: list[str]) -> Any:
        if len(cells) != len(self.columns):
            return MalformedRow("Has more or fewer cells than the first line.")
        return dict(zip(self.columns, cells, strict=True))
