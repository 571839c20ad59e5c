"""Writes what was measured: the page `docs/benchmarks-control.md` and its pictures. What could not be measured is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.control import pictures
from bench.control.sections import SECTIONS
from bench.control.verdicts import targets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAGE = """# Benchmarks of the control plane

How fast jobs are taken, handed out and ended, measured by `make bench-control`; how fast videos are rendered is in
[benchmarks.md](benchmarks.md).

**Machine**: {cpu}, {memory}, {system}.
**Versions**: {parts}.
**Date**: {date}. {form} Load of the last 15 minutes at the end: {load}{busy}.

Every figure is a ratio within one run on this machine, real gunicorn, Postgres, Redis and Celery on both sides; where two
things are compared, they ran in turns, and the ratio is the median of the turns' ratios. Load comes from a process of its own
(raw HTTP over epoll, `bench/load.py`), which took {generator} of one core at most beside what it measured.

## Targets
| | target | measured | |
| --- | --- | --- | --- |
{targets}

## Taking jobs
{accept}

![How many a second](images/bench-control-throughput.svg)

![How long the gateway takes](images/bench-control-latency.svg)

## Handing out and ending jobs
{jobs}

## A hundred times as many rows
{sizes}

## A burst
{burst}

![Jobs finished over time](images/bench-control-fairness.svg)

## A batch
{batches}

## Faults
{chaos}

## Over the way it is usually done first
{gains}

![Memory while files are uploaded](images/bench-control-memory.svg)
"""


def write(found: dict[str, Any], docs: Path) -> None:
    """Write the page and its pictures."""
    images = docs / "images"
    images.mkdir(parents=True, exist_ok=True)
    for name, draw in pictures.PICTURES.items():
        (images / f"bench-control-{name}.svg").write_text(draw(found))
    (docs / "benchmarks-control.md").write_text(page(found))


def page(found: dict[str, Any]) -> str:
    """Return the page."""
    machine = found["machine"]
    cores = int(machine["cpu"].split()[0])
    calm = found["load"] <= 1.5 * cores + 1
    return PAGE.format(
        **machine,
        form="The quick form: few rounds, small sizes." if found["quick"] else "The full form.",
        load=f"{found['load']:.1f}",
        busy="" if calm else " — **the machine was busy with other work**: trust the ratios, not the seconds",
        generator=_generator(found),
        targets="\n".join(target.row() for target in targets(found)),
        **{name: _section(found, name, tell) for name, tell in SECTIONS.items()},
    )


def _section(found: dict[str, Any], name: str, tell: Callable[[dict[str, Any]], str]) -> str:
    part = found.get(name)
    if not part or "failed" in part:
        return f"Not measured: {(part or {}).get('failed', 'left out')}"
    return tell(part)


def _generator(found: dict[str, Any]) -> str:
    rounds = found.get("accept", {}).get("rounds", ())
    shares = [one[side]["generator"] for one in rounds for side in ("gateway", "bare")]
    return f"{max(shares):.0%}" if shares else "little"
