"""What the page says of each part: its tables and its words. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.control import batches, growth, sizes
from bench.control.verdicts import MB, added, memory
from bench.figures import middle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ACCEPT = """16 connections, closed loop. The bare view checks nothing, knows no caller and counts nothing: it inserts one row
and publishes one message, on the gateway's own gunicorn settings. The gateway knows its caller by a key, counts rates in
Redis, validates a script of two scenes, and writes the job and its audit event in one transaction; the message is published
beside the request. Every job is published, as the bare view publishes each: they are of {accounts} accounts.

{table}

At 70 % of its peak ({near:.0f} a second, open loop, latencies from when a request was due): {near_said}. At {calm:.0f} a second
p50 is {normal:.1f} ms; with Redis gone {down:.1f} ms, nothing refused; with Redis back {back:.1f} ms."""
JOBS = """A worker of two slots does {ours:.0f} jobs a second that do nothing (claim, lease, heartbeat, settle, and letting
the next one in), and {bare:.0f} bare Celery tasks under the same settings. A job takes {statements:.1f} SQL statements from its
claim to its end.

Jobs that sleep 50 ms, a second, by the number of workers of one slot: {scaled}."""
SIZES = """{small:,} finished jobs and {small_queued:,} queued ones beside {large:,} and {large_queued:,}, of {accounts} accounts,
on one server. A claim is one transaction; lists are pages of 50: the newest, from the middle, what failed, what waits, scripts
alone; a sweep is the whole round of the sweeper.

{table}

{scans}"""
BURST = """{hog:,} posts of one account and {each} of each of {others} others, at the same time, in {posting:.1f} s.
This was done {times}, with calm before and after each. Answers of all: {answers}; the hog asked for more than an
account may have waiting here. Lost: {lost}. Jobs sleep 20 ms on a worker of four slots: {steady:.0f} a second in calm,
{drain:.0f} a second while the burst drained ({after:,} jobs were still to be done when the last one was posted); this is the
burst with the median ratio, of {ratios}. From its post to its end a job of the others took {others_p50:.1f} s (p50) and
{others_p99:.1f} s (p99), one of the hog {hog_p50:.1f} s and {hog_p99:.1f} s."""
BATCHES = """{number:,} jobs in one request, each with a script of two scenes, no two alike ({bytes:.1f} MB of JSON); the table
fills a template of one scene. The least is a program that trusts its caller and holds everything in memory: it checks each job
by the same schema, and writes the same rows by INSERTs of a thousand, in one transaction.

{table}

The gateway held {held:.0f} MB before and {added:.0f} MB more at most."""
CHAOS = """{minutes:g} minutes of the seeded random schedule (`make chaos` runs ten, seed {seed:.0f}): {jobs:.0f} jobs,
{begun:.0f} attempts of which {lost:.0f} were lost, {faults:.0f} faults; {recoveries:.0f} times lost work was taken up again,
p50 {p50:.1f} s, p99 {p99:.1f} s. Violations of what always holds: {violations}."""
GAINS = """`bench/before/` is the same service as it is usually written first: a Flask app under gunicorn with eight threads
that asks the model and runs ffmpeg inside the request, SQLite on one connection, no index but the primary key, no cache,
uploads read whole. It is not slow on purpose, and its videos are less: colour and words, no voice, no captions, nothing
checked. Both ask one model on loopback that takes {model} s. The load, the same for both: 6 clients ask for videos of 6 s,
8 upload {upload:.0f} MB each, one lists, all at the same time. The database holds {rows:,} rows in both, asked by eight threads
without HTTP in between.

{table}

Memory by the size of what is uploaded, {together} files at once and nothing else: the most that all processes of a side held, and
what that is over what they held right before. What was done first holds what it is sent; the stack passes it on as it comes.

{growth}

What is not better: a small video takes longer until it is there, since it is written, spoken, cut, rendered, joined and checked
by several processes, two of which render; and the stack is many processes, which hold {idle:.0f} MB before anything is asked
of them, where the one of before holds {idle_before:.0f}. {crossing}"""
TIMES = (
    ("post", "answer to a request for a video, s (p50)"),
    ("post_p95", "the same, p95"),
    ("list", "a page of videos meanwhile, s (p50)"),
    ("list_p95", "the same, p95"),
    ("upload", "an upload meanwhile, s (p50)"),
    ("video", "until the video is there, s (p50)"),
)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown: words in the first column, numbers in the others."""
    lines = [["", *heads], ["---", *(["--:"] * len(heads))], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _middles(part: dict[str, Any], side: str, *names: str) -> list[float]:
    return [middle([one[side][name] for one in part["rounds"]]) for name in names]


def _accept(part: dict[str, Any]) -> str:
    rows = []
    for side, name in (("gateway", "`POST /v1/jobs`"), ("bare", "a bare view")):
        rate, *times = _middles(part, side, "rate", "p50", "p95", "p99")
        (cpu,) = _middles(part, side, "cpu")
        rows.append([name, f"{rate:.0f}", *(f"{1000 * one:.1f}" for one in times), f"{1000 * cpu:.2f}"])
    near, redis = part["near"], part["redis"]
    return ACCEPT.format(
        accounts=part["accounts"],
        table=table(
            ["requests a second", "p50, ms", "p95", "p99", "CPU of its processes a request, ms"], rows
        ),
        near=near["rate"],
        near_said=", ".join(f"{what} {1000 * near[what]:.1f} ms" for what in ("p50", "p95", "p99")),
        calm=redis["rate"],
        **{name: 1000 * redis[name]["p50"] for name in ("normal", "down", "back")},
    )


def _jobs(part: dict[str, Any]) -> str:
    return JOBS.format(
        ours=middle([one["ours"] for one in part["rounds"]]),
        bare=middle([one["bare"] for one in part["rounds"]]),
        statements=part["statements"],
        scaled=", ".join(f"{name}: {part['scaled'][name]:.1f}" for name in ("1", "2", "4")),
    )


def _sizes(part: dict[str, Any]) -> str:
    rows = []
    for work in sizes.WORKS:
        cells = [
            f"{1000 * middle([turn[work][size][what] for turn in part['rounds']]):.2f}"
            for size in ("small", "large")
            for what in ("p50", "p99")
        ]
        rows.append([work, *cells, *(f"{sizes.ratio(part, work, what):.2f}" for what in ("p50", "p99"))])
    scans = "No statement of a claim, of the lists and of a sweep reads a large table from end to end (`EXPLAIN`)."
    if part["scans"]:
        scans = "\n".join(["Read from end to end (`EXPLAIN`):", *(f"- `{scan}`" for scan in part["scans"])])
    return SIZES.format(
        small=part["small"],
        small_queued=part["small"] // 10,
        large=part["large"],
        large_queued=part["large"] // 10,
        accounts=sizes.ACCOUNTS,
        table=table(["small, p50 ms", "p99", "large, p50 ms", "p99", "large to small: p50", "p99"], rows),
        scans=scans,
    )


def _burst(part: dict[str, Any]) -> str:
    waits = {f"{who}_{what}": value for who, each in part["waits"].items() for what, value in each.items()}
    told = {
        name: part[name] for name in ("hog", "each", "posting", "lost", "steady", "drain", "after", "others")
    }
    answers = ", ".join(f"{number:,} of {status}" for status, number in sorted(part["statuses"].items()))
    ratios = ", ".join(f"{ratio:.2f}" for ratio in sorted(part["ratios"]))
    times = "once" if len(part["ratios"]) == 1 else f"{len(part['ratios'])} times"
    return BURST.format(**told, **waits, answers=answers, ratios=ratios, times=times)


def _batches(part: dict[str, Any]) -> str:
    forms = {
        "bare": "the least",
        **{form: f"`{form}`" for form in (batches.JSON, batches.LINES, batches.TABLE)},
    }
    rows = [[said, f"{middle([one[form] for one in part['rounds']]):.2f}"] for form, said in forms.items()]
    most = max(part["rounds"], key=lambda one: one["most"] - one["held"])
    return BATCHES.format(
        number=part["number"],
        bytes=part["bytes"][batches.JSON] / MB,
        table=table(["seconds"], rows),
        held=most["held"] / MB,
        added=(most["most"] - most["held"]) / MB,
    )


def _chaos(part: dict[str, Any]) -> str:
    return CHAOS.format(**part)


def _gains(part: dict[str, Any]) -> str:
    once, again, database = part["at_once"], part["again"], part["database"]
    rows = [
        [name, *(f"{_middles(part, side, what)[0]:.2f}" for side in ("before", "now"))]
        for what, name in TIMES
    ]
    speeds = [middle([one[side] for one in database["rounds"]]) for side in ("before", "now")]
    rows += [
        ["a video that was asked for before, s", f"{again['before']:.2f}", f"{again['now']:.2f}"],
        ["requests at once, all answered within 5 s", _most(once["before"]), _most(once["now"])],
        [
            "memory of all processes, the most, MB",
            *(f"{memory(part, side):.0f}" for side in ("before", "now")),
        ],
        [
            "what the load adds to what they hold when idle, MB",
            *(f"{memory(part, side, above=True):.0f}" for side in ("before", "now")),
        ],
        [
            "memory of what answers requests, the most, MB",
            f"{memory(part, 'before'):.0f}",
            f"{memory(part, 'now', 'api'):.0f}",
        ],
        ["a page and a change in the database, a second", *(f"{speed:.0f}" for speed in speeds)],
    ]
    return GAINS.format(
        model=part["model"],
        upload=part["upload"] / MB,
        rows=database["rows"],
        table=table(["before", "now"], rows),
        together=growth.TOGETHER,
        growth=grown(part["growth"]),
        idle=part["idle"]["now"] / MB,
        idle_before=part["idle"]["before"] / MB,
        crossing=crossing(part["growth"]),
    )


def grown(rows: Sequence[dict[str, Any]]) -> str:
    """Return the table of memory by the size of what is uploaded."""
    heads = ["before: all, MB", "added", "now: all, MB", "added", "now: what answers requests, MB"]
    return table(
        heads,
        [
            [
                f"{growth.TOGETHER} of {row['bytes'] / MB:.0f} MB",
                *(
                    f"{figure / MB:.0f}"
                    for side in ("before", "now")
                    for figure in (row[side]["memory"]["all"], added(row, side))
                ),
                f"{row['now']['memory']['api'] / MB:.0f}",
            ]
            for row in rows
        ],
    )


def crossing(rows: Sequence[dict[str, Any]]) -> str:
    """Say from which size on the whole stack holds less than what was done first."""
    below = [row["bytes"] for row in rows if row["now"]["memory"]["all"] < row["before"]["memory"]["all"]]
    if not below:
        return "Of the sizes that were tried it holds more with each."
    return f"From {growth.TOGETHER} uploads of {min(below) / MB:.0f} MB at once on it holds less."


def _most(once: dict[str, Any]) -> str:
    tried = max(int(step) for step in once["slowest"])
    return f"{once['most']} (no more were tried)" if once["most"] == tried else str(once["most"])


SECTIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "accept": _accept,
    "jobs": _jobs,
    "sizes": _sizes,
    "burst": _burst,
    "batches": _batches,
    "chaos": _chaos,
    "gains": _gains,
}
