"""`python -m bench.render`: run the contest and write docs/benchmarks.md with its picture."""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from bench import measure
from bench.render import costs, peers, plan, report
from bench.render.contest import Contest, font
from bench.stack import Stack
from shared.processes.ffmpeg import ffmpeg_path

IDLE_SECONDS = 5


def main() -> None:
    """Measure, keep the figures, write the page."""
    wish = arguments()
    wish.cache.mkdir(parents=True, exist_ok=True)
    (wish.cache / ".gitignore").write_text("*\n")
    kept = wish.cache / "results.json"
    if not wish.page_only:
        kept.write_text(json.dumps(measured(wish), indent=1))
    report.write(json.loads(kept.read_text()), Path("docs"))
    print("docs/benchmarks.md")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.render", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often everyone makes the reel [5]")
    parser.add_argument("--peer-rounds", type=int, default=5, help="in how many of them peers do [5]")
    parser.add_argument("--quick", action="store_true", help="one round, and shorter scripts")
    parser.add_argument("--without-peers", action="store_true", help="only Scenemill and ffmpeg")
    parser.add_argument("--page-only", action="store_true", help="write the page from the last figures")
    parser.add_argument(
        "--cache", type=Path, default=Path(".bench"), help="folder for media and peers [.bench]"
    )
    return parser.parse_args()


def measured(wish: argparse.Namespace) -> dict[str, Any]:
    """Return every figure of the page."""
    ffmpeg = ffmpeg_path()
    cache = wish.cache.resolve()
    laid = plan.make(cache)
    titles = font(cache)
    others = [] if wish.without_peers else peers.prepare(cache, laid, titles, ffmpeg)
    for peer in others:
        print(f"{peer.name} {peer.version}: {peer.absent or 'ready'}", flush=True)
    work = Path(tempfile.mkdtemp(prefix="scenemill-bench-"))
    rounds: list[dict[str, Any]] = []
    minutes = 2 if wish.quick else 10
    try:
        with Stack(work / "stack") as stack:
            idle = quiet(stack)
            contest = Contest(laid, work, ffmpeg, titles, stack, idle, others)
            for number in range(1 if wish.quick else wish.rounds):
                print(f"Round {number + 1}, load {psutil.getloadavg()[0]:.1f}", flush=True)
                rounds.append(contest.round(with_peers=number < wish.peer_rounds))
                (cache / "rounds.json").write_text(json.dumps(rounds, indent=1))
            print(f"{minutes} minutes in one script and in {minutes} …", flush=True)
            lengths = costs.long_and_short(stack, idle, laid.reel.pictures[0], minutes)
        print("What is not ffmpeg …", flush=True)
        beyond = costs.overhead(work / "overhead", ffmpeg, (1, 100), 1 if wish.quick else 3)
        return {
            "machine": report.machine(ffmpeg),
            "reel": {"seconds": laid.seconds, "frames": laid.total, "spoken": laid.spoken},
            "rounds": rounds,
            "peers": [{"name": peer.name, "version": peer.version, "absent": peer.absent} for peer in others],
            "idle": idle,
            "lengths": {"minutes": minutes, **lengths},
            "overhead": beyond,
            "planning": costs.planning(),
            "load": psutil.getloadavg()[2],
        }
    finally:
        shutil.rmtree(work, ignore_errors=True)


def quiet(stack: Stack) -> float:
    """Return what the stack spends a second when nothing is asked of it."""
    process = psutil.Process(stack.pid)
    time.sleep(3)
    seen = []
    for _ in range(3):
        before = measure.cpu(process)
        time.sleep(IDLE_SECONDS)
        seen.append((measure.cpu(process) - before) / IDLE_SECONDS)
    return statistics.median(seen)


if __name__ == "__main__":
    main()
