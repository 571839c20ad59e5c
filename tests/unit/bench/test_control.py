"""What the bench of the control plane computes and writes."""

from __future__ import annotations

import json
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest

from api.batches import row_parsing as rows
from api.schemas.job import JobSchema
from bench import figures, load
from bench.control import batches, burst, chaos, chart, jobs, probe, report, sections
from bench.control.verdicts import MB, targets
from shared.script.schema.loading import load as load_schema

HOG, OTHER = uuid.UUID(int=1), uuid.UUID(int=2)
CHAOS = """
seed 7: 120 jobs, {'succeeded': 118, 'canceled': 2}
attempts 200, lost 4, waste 2.0%
recovery of 9: p50 3.10 s, p99 4.50 s
faults 12: {'F1 kill': 3}
violations {}
1 passed
"""


class Server:
    """Answers what it is told to, one status after the other."""

    def __init__(self, *statuses: int):
        left = list(statuses)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(left.pop(0) if left else 202)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))

    def __enter__(self):
        self.thread.start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def test_a_percentile_is_a_value_that_was_seen():
    values = [float(number) for number in range(1, 101)]

    assert figures.part(values, 0.99) == 99
    assert figures.part(values, 0.5) == 50
    assert figures.part([3.0], 0.99) == 3


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (figures.Target("speed", 0.5, 0.61, least=True), "| speed | ≥ 0.50 x | 0.61 x | met |"),
        (figures.Target("speed", 0.5, 0.41, least=True), "| speed | ≥ 0.50 x | 0.41 x | **missed** |"),
        (figures.Target("wait", 1.3, 1.31), "| wait | ≤ 1.30 x | 1.31 x | **missed** |"),
        (figures.Target("lost", 0, 0, ""), "| lost | ≤ 0 | 0 | met |"),
        (figures.Target("lost", 0, None, ""), "| lost | ≤ 0 | - | **not measured** |"),
    ],
    ids=["met", "missed", "missed by a little", "none", "not measured"],
)
def test_a_target_says_whether_it_was_met(target, said):
    assert target.row() == said


def test_each_request_is_sent_once_and_every_status_is_counted():
    with Server(202, 429, 503) as address:
        plan = load.Plan(address, [load.post("/jobs", {"n": at}) for at in range(20)], connections=3)
        outcome = load.Generator(plan).run()

    assert outcome.statuses == {"202": 18, "429": 1, "503": 1}
    assert len(outcome.latencies) == outcome.answered == 20
    assert not outcome.only(202)


def test_what_is_not_answered_is_no_answer():
    with Server() as address:
        pass

    outcome = load.Generator(load.Plan(address, [load.post("/", {})], connections=1)).run()

    assert outcome.statuses == {"0": 1}
    assert outcome.answered == 0


def test_an_open_loop_keeps_its_rate():
    with Server() as address:
        plan = load.Plan(address, [load.post("/jobs", {})], connections=4, seconds=0.2, rate=100)
        outcome = load.Generator(plan).run()

    assert 15 <= outcome.answered <= 21


def test_a_speed_leaves_beginning_and_end_out():
    ends = [0.0, *(10 + at / 10 for at in range(98)), 100.0]

    assert jobs.speed(ends) == pytest.approx(10)
    assert jobs.slope([(0, 100), (5, 100), (6, 90), (7, 50), (8, 10), (30, 0)], 100) == pytest.approx(40)


def test_the_typical_burst_has_the_median_ratio_to_the_calm_around_it_and_what_all_lost():
    bursts = [
        {"drain": 90, "lost": 0, "statuses": {"202": 5}, "after": 1},
        {"drain": 110, "lost": 2, "statuses": {"202": 4, "429": 1}, "after": 2},
        {"drain": 60, "lost": 0, "statuses": {"202": 5}, "after": 3},
    ]

    found = burst.typical(bursts, [80, 100, 140, 100])

    assert found["ratios"] == [1.0, 110 / 120, 0.5]
    assert (found["drain"], found["steady"], found["after"]) == (110, 120, 2)
    assert (found["lost"], found["statuses"]) == (2, {"202": 14, "429": 1})


def test_a_burst_is_summed_for_the_hog_and_for_the_others():
    rows = [
        SimpleNamespace(account_id=HOG, state="succeeded", created=0.0, ended=10.0 + at) for at in range(6)
    ] + [SimpleNamespace(account_id=OTHER, state="failed", created=1.0, ended=2.0)]
    outcomes = [load.Outcome(statuses={"202": 5, "429": 2}), load.Outcome(statuses={"202": 2})]

    found = burst.summed(rows, HOG, outcomes)

    assert found["statuses"] == {"202": 7, "429": 2}
    assert found["lost"] == 1
    assert found["waits"]["others"]["p99"] == 1
    assert found["finished"]["hog"] == [10, 11, 12, 13, 14, 15]
    assert found["drain"] == pytest.approx(6 / 13)


def test_what_reads_a_whole_table_is_found_however_deep():
    plan = {
        "Node Type": "Limit",
        "Plans": [
            {"Node Type": "Index Scan", "Relation Name": "jobs"},
            {"Node Type": "Hash", "Plans": [{"Node Type": "Seq Scan", "Relation Name": "segments"}]},
        ],
    }

    assert probe.seq_scans(plan) == ["segments"]


def test_the_words_of_a_chaos_run_are_read():
    found = chaos.read(CHAOS)

    assert found["waste"] == 2
    assert found["p99"] == 4.5
    assert found["violations"] == "{}"
    with pytest.raises(ValueError, match="no figures"):
        chaos.read("1 failed")


def times(p50: float):
    return {
        "p50": p50,
        "p95": 2 * p50,
        "p99": 3 * p50,
        "rate": 1 / p50,
        "cpu": 0.01,
        "generator": 0.1,
        "requests": 9,
    }


def found(**parts):
    machine = {name: name for name in ("memory", "system", "parts", "date")} | {"cpu": "2 cores of x"}
    return {"machine": machine, "quick": False, "load": 0.5, **parts}


def accepted():
    redis = {"rate": 30, "normal": times(0.01), "down": times(0.03), "back": times(0.01)}
    rounds = [{"gateway": times(0.02), "bare": times(0.01)}, {"gateway": times(0.09), "bare": times(0.03)}]
    return {"accounts": 9, "rounds": rounds, "peak": 100, "near": times(0.01), "redis": redis}


def test_a_page_says_what_was_met_what_was_missed_and_what_was_not_measured(tmp_path):
    report.write(found(accept=accepted(), burst={"failed": "TimeoutError: The burst"}), tmp_path)

    page = (tmp_path / "benchmarks-control.md").read_text()
    assert "| accept: `POST /v1/jobs` to a bare view | ≥ 0.50 x | 0.42 x | **missed** |" in page
    assert "| accept: p99 to p50 at 70 % of its peak | ≤ 5.00 x | 3.00 x | met |" in page
    assert "| burst: accepted jobs that were lost | ≤ 0 | - | **not measured** |" in page
    assert "Not measured: TimeoutError: The burst" in page
    for name in ("throughput", "latency", "fairness"):
        ET.fromstring((tmp_path / "images" / f"bench-control-{name}.svg").read_text())  # noqa: S314 (our own)


def uploads(size: int, before: int, now: int):
    """Return the row of a size, in MB: what each side held at most. Before the uploads they held 60 and 500."""
    return {
        "bytes": size * MB,
        "before": {"held": 60 * MB, "memory": {"all": before * MB}},
        "now": {"held": 500 * MB, "memory": {"all": now * MB, "api": 170 * MB}},
    }


def test_the_page_says_from_which_size_of_upload_on_the_stack_holds_less():
    rows = [uploads(16, 130, 540), uploads(256, 2260, 560)]

    assert sections.grown(rows).splitlines()[-1] == "| 8 of 256 MB | 2260 | 2200 | 560 | 60 | 170 |"
    assert sections.crossing(rows) == "From 8 uploads of 256 MB at once on it holds less."
    assert sections.crossing(rows[:1]) == "Of the sizes that were tried it holds more with each."


def test_every_target_of_a_run_without_figures_is_there_and_none_is_met():
    verdicts = {target.verdict for target in targets(found())}

    assert verdicts == {"not measured"}


def test_lines_and_bars_are_pictures():
    ET.fromstring(chart.lines("A & B", [("one", [(0, 0), (1, 5)])], "seconds"))  # noqa: S314 (our own)
    ET.fromstring(chart.bars("A & B", [("one", 1.0, 0), ("", 0, 0), ("two", 3.0, 1)], "/s"))  # noqa: S314 (our own)


def test_each_form_of_a_batch_has_all_its_jobs_and_each_is_right():
    bodies = batches.bodies_of(3)

    lines = [json.loads(line) for line in bodies[batches.LINES].splitlines()]
    assert json.loads(bodies[batches.JSON]) == {"jobs": lines}
    assert len({load_schema(JobSchema(), line).custom_id for line in lines}) == 3
    assert len(rows.parse_csv(bodies[batches.TABLE], 3)) == 3


def test_a_batch_is_told_beside_the_least_with_what_it_held():
    forms = {batches.JSON: 3.0, batches.LINES: 2.5, batches.TABLE: 4.0}
    rounds = [{"bare": 2.0, "held": 200 * MB, "most": most * MB, **forms} for most in (210, 230)]
    part = {"number": 10, "bytes": {batches.JSON: 2 * MB}, "rounds": rounds}

    page = sections.SECTIONS["batches"](part)
    time, memory = [target for target in targets({"batches": part}) if target.what.startswith("batch:")]

    assert "| the least | 2.00 |" in page
    assert "held 200 MB before and 30 MB more at most" in page
    assert (time.value, time.verdict) == (1.5, "met")
    assert (memory.value, memory.verdict) == (30, "met")
