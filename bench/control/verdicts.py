"""What was to be reached, beside what was measured. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.control import batches, sizes
from bench.control.chaos import BOUND
from bench.figures import Target, middle

if TYPE_CHECKING:
    from collections.abc import Callable

MB = 1_000_000


def targets(found: dict[str, Any]) -> list[Target]:
    """Return every target with what was measured of it, in the order of the page."""

    def of(name: str, value: Callable[[dict[str, Any]], float]) -> float | None:
        part = found.get(name)
        return value(part) if part and "failed" not in part else None

    return [
        *_taken(of),
        *_worked(of),
        *(_stays(of, work, sizes_said(found)) for work in sizes.WORKS),
        Target(
            "statements that read a large table from end to end",
            0,
            of("sizes", lambda part: len(part["scans"])),
            "",
        ),
        *_burst(of),
        *_batches(of),
        *_chaos(of),
        *_gains(of),
    ]


def sizes_said(found: dict[str, Any]) -> str:
    """Return which sizes are compared."""
    part = found.get("sizes") or {}
    return f"{part['large']:,} to {part['small']:,} rows" if "large" in part else "large to small"


def _stays(of: Callable[..., float | None], work: str, said: str) -> Target:
    return Target(f"{work}, p99, {said}", 1.3, of("sizes", lambda part: sizes.ratio(part, work)))


def _taken(of: Callable[..., float | None]) -> list[Target]:
    return [
        Target("accept: `POST /v1/jobs` to a bare view", 0.5, of("accept", lambda part: ratio(part, "gateway", "bare", "rate")),
               least=True),
        Target("accept: p99 to p50 at 70 % of its peak", 5, of("accept", lambda part: part["near"]["p99"] / part["near"]["p50"])),
        Target("accept: p50 with Redis gone, to normal", 2,
               of("accept", lambda part: part["redis"]["down"]["p50"] / part["redis"]["normal"]["p50"])),
    ]  # fmt: skip


def _worked(of: Callable[..., float | None]) -> list[Target]:
    return [
        Target("jobs that do nothing, to bare Celery tasks", 0.4,
               of("jobs", lambda part: middle([one["ours"] / one["bare"] for one in part["rounds"]])), least=True),
        Target("SQL statements a job", 6, of("jobs", lambda part: part["statements"]), ""),
        Target("two workers to one, work that sleeps", 1.8,
               of("jobs", lambda part: part["scaled"]["2"] / part["scaled"]["1"]), least=True),
        Target("four workers to one", 3.5, of("jobs", lambda part: part["scaled"]["4"] / part["scaled"]["1"]), least=True),
    ]  # fmt: skip


def _burst(of: Callable[..., float | None]) -> list[Target]:
    def strange(part: dict[str, Any]) -> float:
        counts = part["statuses"]
        return float(sum(counts[status] for status in counts if status not in ("202", "429", "503")))

    return [
        Target("burst: accepted jobs that were lost", 0, of("burst", lambda part: part["lost"]), ""),
        Target("burst: answers other than 202, 429, 503", 0, of("burst", strange), ""),
        Target("burst: drained, to steady speed", 0.9, of("burst", lambda part: part["drain"] / part["steady"]), least=True),
    ]  # fmt: skip


def _batches(of: Callable[..., float | None]) -> list[Target]:
    return [
        Target("batch: 10,000 jobs to checking them and bare INSERTs", 1.5,
               of("batches", lambda part: middle([one[batches.JSON] / one["bare"] for one in part["rounds"]]))),
        Target("batch: memory above what was held before", 80,
               of("batches", lambda part: max(one["most"] - one["held"] for one in part["rounds"]) / MB), "MB"),
    ]  # fmt: skip


def _chaos(of: Callable[..., float | None]) -> list[Target]:
    return [
        Target("chaos: attempts wasted", 5, of("chaos", lambda part: part["waste"]), "%"),
        Target("chaos: recovery p99 (lease + sweep + 2 s)", BOUND, of("chaos", lambda part: part["p99"]), "s"),
        Target("chaos: jobs lost, ends twice and other violations", 0,
               of("chaos", lambda part: float(part["violations"] != "{}")), ""),
    ]  # fmt: skip


def _gains(of: Callable[..., float | None]) -> list[Target]:
    return [
        Target("over before: response time down", 50, of("gains", lambda part: 100 * (1 - ratio(part, "now", "before", "post"))),
               "%", least=True),
        Target("over before: requests at once", 3,
               of("gains", lambda part: part["at_once"]["now"]["most"] / max(1, part["at_once"]["before"]["most"])), least=True),
        Target("over before: memory of all processes down", 30,
               of("gains", lambda part: 100 * (1 - memory(part, "now") / memory(part, "before"))), "%", least=True),
        Target("over before: memory that the load adds down", 30,
               of("gains", lambda part: 100 * (1 - memory(part, "now", above=True) / memory(part, "before", above=True))),
               "%", least=True),
        Target("over before: memory that the largest uploads add down", 30,
               of("gains", lambda part: 100 * (1 - added(part["growth"][-1], "now") / added(part["growth"][-1], "before"))),
               "%", least=True),
        Target("over before: database work", 2, of("gains", lambda part: part["database"]["gain"]), least=True),
    ]  # fmt: skip


def ratio(part: dict[str, Any], one: str, to: str, what: str) -> float:
    """Return the median of the rounds' ratios: what ran in the same minutes is compared."""
    return middle([each[one][what] / each[to][what] for each in part["rounds"]])


def memory(part: dict[str, Any], side: str, what: str = "all", *, above: bool = False) -> float:
    """Return the most that a side's processes held under load, in MB; `above` what they held when idle."""
    most = middle([one[side]["memory"].get(what, 0) for one in part["rounds"]])
    return float(most - (part["idle"][side] if above else 0)) / MB


def added(row: dict[str, Any], side: str) -> int:
    """Return the bytes that uploads of one size added to what a side held right before them."""
    return int(row[side]["memory"]["all"]) - int(row[side]["held"])
