"""`python -m bench.control`: measure the control plane, write docs/benchmarks-control.md, and print what was met."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from bench import machine
from bench.control import accept, batches, burst, chaos, database, gains, jobs, report, sizes
from bench.control.lab import Lab
from bench.control.sections import SECTIONS
from bench.control.verdicts import targets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PARTS = ("flask", "gunicorn", "celery", "sqlalchemy", "psycopg2-binary")


def main() -> None:
    """Measure, keep the figures, write the page, say what was met."""
    wish = arguments()
    wish.cache.mkdir(parents=True, exist_ok=True)
    (wish.cache / ".gitignore").write_text("*\n")
    kept = wish.cache / "control.json"
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))  # so that whatever was started is stopped
    if not wish.page_only:
        before = json.loads(kept.read_text()) if wish.only and kept.exists() else {}
        kept.write_text(json.dumps({**before, **measured(wish)}))
    found = json.loads(kept.read_text())
    report.write(found, wish.docs)
    for target in targets(found):
        print(target)
    print(wish.docs / "benchmarks-control.md")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.control", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one round each, small sizes, no chaos: two minutes"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=list(SECTIONS),
        help="measure only this part; again for more",
    )
    parser.add_argument(
        "--large", type=int, help="finished jobs of the large database [1000000; quick: 50000]"
    )
    parser.add_argument("--minutes", type=float, default=2.0, help="of the chaos run [2]")
    parser.add_argument("--page-only", action="store_true", help="write the page from the last figures")
    parser.add_argument("--cache", type=Path, default=Path(".bench"), help="folder for the figures [.bench]")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="folder of the page [docs]")
    return parser.parse_args()


def measured(wish: argparse.Namespace) -> dict[str, Any]:
    """Return every figure of the page."""
    folder = Path(tempfile.mkdtemp(prefix="scenemill-bench-")).resolve()
    folder.chmod(0o755)  # Postgres may run as another user, and passes through here
    found: dict[str, Any] = {"machine": machine.facts(PARTS), "quick": wish.quick}
    try:
        with Lab(folder / "lab") as lab:
            found |= _parts(_of_lab(lab, wish), wish.only)
        if not wish.quick:
            found |= _parts({"chaos": lambda: chaos.measured(wish.minutes)}, wish.only)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return found | {"load": psutil.getloadavg()[2]}


def _of_lab(lab: Lab, wish: argparse.Namespace) -> dict[str, Callable[[], dict[str, Any]]]:
    large = wish.large or (50_000 if wish.quick else 1_000_000)
    return {
        "accept": lambda: accept.measured(lab, quick=wish.quick),
        "jobs": lambda: jobs.measured(lab, quick=wish.quick) | {"scaled": jobs.scaled(lab, quick=wish.quick)},
        "burst": lambda: burst.measured(lab, quick=wish.quick),
        "batches": lambda: batches.measured(lab, quick=wish.quick),
        "sizes": lambda: sizes.measured(lab, quick=wish.quick, large=large),
        "gains": lambda: (
            gains.measured(lab.folder / "gains", quick=wish.quick)
            | {"database": database.measured(lab, lab.folder, quick=wish.quick)}
        ),
    }


def _parts(parts: Mapping[str, Callable[[], dict[str, Any]]], only: list[str] | None) -> dict[str, Any]:
    """Measure one part after the other; one that fails is told of, and the others go on."""
    found = {}
    for name, measure in parts.items():
        if only and name not in only:
            continue
        began = time.monotonic()
        print(f"{name} …", flush=True)
        try:
            found[name] = measure()
        except Exception as error:  # noqa: BLE001 (an hour of other figures must not be lost by it)
            found[name] = {"failed": " ".join(f"{type(error).__name__}: {error}".split())[:500]}
            print(f"  failed: {found[name]['failed']}", flush=True)
        print(f"  {time.monotonic() - began:.0f} s, load {psutil.getloadavg()[0]:.1f}", flush=True)
    return found


if __name__ == "__main__":
    main()
