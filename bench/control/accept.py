"""How many jobs a second the gateway takes, and how soon: beside a bare view, near its peak, and with Redis gone.

Every job is of another account as long as that is so many that each is published at once, as the bare view publishes
each: an account's window would else leave all but its first few to be published by workers, of which there are none.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import psutil

from bench import load, measure
from bench.figures import middle, part

if TYPE_CHECKING:
    from bench.control.lab import Lab

CONNECTIONS = 16
BODY = {
    "kind": "video",
    "script": {
        "scenes": [
            {"narration": "A reef begins with a single larva.", "text": [{"text": "Day 1", "role": "title"}]},
            {"narration": "It settles on stone, and builds.", "visual": {"type": "gradient", "colors": ["#0d1b2a", "#1b6ca8"]}},
        ]
    },
    "metadata": {"campaign": "spring"},
}  # fmt: skip
ACCOUNTS = 1500


def measured(lab: Lab, *, quick: bool) -> dict[str, Any]:
    """Return the figures of this part."""
    rounds, seconds = (1, 3.0) if quick else (3, 6.0)
    keys = itertools.cycle([key for _, key in lab.accounts("accept", ACCOUNTS)])
    found: dict[str, Any] = {"rounds": [], "accounts": ACCOUNTS}
    with (
        lab.gunicorn("api.wsgi:app", "/readyz") as (gateway, pid),
        lab.gunicorn("bench.control.floor:create_app()", "/") as (bare, bare_pid),
    ):

        def jobs(number: int) -> list[str]:
            return [load.post("/v1/jobs", BODY, next(keys)) for _ in range(number)]

        plain = [load.post("/jobs", BODY)]
        for address, requests in ((gateway, jobs(200)), (bare, plain)):
            load.run(load.Plan(address, requests, 4, seconds=1.5))  # what is done once in a process's life
        for _ in range(rounds):
            found["rounds"].append(
                {
                    "gateway": _loop(pid, load.Plan(gateway, jobs(ACCOUNTS), CONNECTIONS, seconds)),
                    "bare": _loop(bare_pid, load.Plan(bare, plain, CONNECTIONS, seconds)),
                }
            )
        peak = middle([one["gateway"]["rate"] for one in found["rounds"]])
        found["peak"] = peak
        steady = load.Plan(gateway, jobs(ACCOUNTS), 64, seconds=4 if quick else 15, rate=0.7 * peak)
        found["near"] = _latency(load.run(steady)) | {"rate": steady.rate}
        found["redis"] = _without_redis(lab, gateway, jobs, 0.3 * peak, 3.0 if quick else 8.0)
    return found


def _without_redis(lab: Lab, gateway: str, jobs: Any, rate: float, seconds: float) -> dict[str, Any]:
    """Return latencies at a calm rate with Redis there, with it gone, and with it back."""
    found: dict[str, Any] = {"rate": rate}
    for name, change in (("normal", None), ("down", lab.stop_redis), ("back", lab.start_redis)):
        if change is not None:
            change()
        found[name] = _latency(load.run(load.Plan(gateway, jobs(ACCOUNTS), 64, seconds, rate)))
    return found


def _loop(pid: int, plan: load.Plan) -> dict[str, Any]:
    """Send a plan and return the rate, the latencies, and what the server's processes spent on a request."""
    before = measure.cpu(psutil.Process(pid))
    outcome = load.run(plan)
    spent = measure.cpu(psutil.Process(pid)) - before
    share = outcome.cpu / outcome.seconds
    return _latency(outcome) | {
        "rate": outcome.rate,
        "cpu": spent / max(1, outcome.answered),
        "generator": share,
    }


def _latency(outcome: load.Outcome) -> dict[str, Any]:
    if not outcome.only(202):
        raise RuntimeError(f"Not all jobs were taken: {outcome.statuses}")
    return {
        "p50": part(outcome.latencies, 0.5),
        "p95": part(outcome.latencies, 0.95),
        "p99": part(outcome.latencies, 0.99),
        "requests": outcome.answered,
    }
