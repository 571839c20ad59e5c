"""The page's pictures, of the figures that are there. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.control import chart, growth
from bench.control.verdicts import MB
from bench.figures import middle

if TYPE_CHECKING:
    from collections.abc import Callable


def _there(found: dict[str, Any], name: str) -> bool:
    return bool(found.get(name)) and "failed" not in found[name]


def _throughput(found: dict[str, Any]) -> str:
    rows: list[tuple[str, float, int]] = []
    if _there(found, "accept"):
        rounds = found["accept"]["rounds"]
        rows += [
            ("POST /v1/jobs", middle([one["gateway"]["rate"] for one in rounds]), 0),
            ("a bare view", middle([one["bare"]["rate"] for one in rounds]), 2),
            ("", 0, 0),
        ]
    if _there(found, "jobs"):
        rounds, scaled = found["jobs"]["rounds"], found["jobs"]["scaled"]
        rows += [
            ("jobs that do nothing", middle([one["ours"] for one in rounds]), 0),
            ("bare Celery tasks", middle([one["bare"] for one in rounds]), 2),
            ("", 0, 0),
            *(
                (f"sleeping jobs, {name} worker{'s' * (name != '1')}", scaled[name], 1)
                for name in ("1", "2", "4")
            ),
        ]
    return chart.bars("How many a second", rows, "/s")


def _latency(found: dict[str, Any]) -> str:
    rows: list[tuple[str, float, int]] = []
    if _there(found, "accept"):
        part = found["accept"]
        for name, one in (
            ("70 % of peak", part["near"]),
            ("calm", part["redis"]["normal"]),
            ("Redis gone", part["redis"]["down"]),
            ("Redis back", part["redis"]["back"]),
        ):
            rows += [
                (f"{name}, {what}", 1000 * one[what], color)
                for color, what in enumerate(("p50", "p95", "p99"))
            ]
            rows.append(("", 0, 0))
    return chart.bars("POST /v1/jobs: how long the answer takes", rows[:-1], "ms")


def _fairness(found: dict[str, Any]) -> str:
    if not _there(found, "burst"):
        return chart.lines("Jobs finished over time", [], "seconds")
    finished = found["burst"]["finished"]
    series = []
    for name, said in (("others", "all others together"), ("hog", "the account with half of all jobs")):
        ends = sorted(finished[name])
        step = max(1, len(ends) // 200)
        points = [
            (0.0, 0.0),
            *((end, at + 1.0) for at, end in enumerate(ends) if at % step == 0 or at == len(ends) - 1),
        ]
        series.append((said, points))
    return chart.lines("A burst: jobs finished over time", series, "seconds from the first post")


def _memory(found: dict[str, Any]) -> str:
    rows: list[tuple[str, float, int]] = []
    if _there(found, "gains"):
        for row in found["gains"]["growth"]:
            said = f"{growth.TOGETHER} of {row['bytes'] / MB:.0f} MB"
            rows += [
                (f"{said}, before", row["before"]["memory"]["all"] / MB, 2),
                (f"{said}, now", row["now"]["memory"]["all"] / MB, 0),
                (f"{said}, now: the gateway", row["now"]["memory"]["api"] / MB, 1),
                ("", 0, 0),
            ]
    return chart.bars("Memory while files are uploaded at once", rows[:-1], "MB")


PICTURES: dict[str, Callable[[dict[str, Any]], str]] = {
    "throughput": _throughput,
    "latency": _latency,
    "fairness": _fairness,
    "memory": _memory,
}
