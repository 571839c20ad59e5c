"""Writes what was measured: the page `docs/benchmarks.md`, and its picture as SVG drawn by hand."""

from __future__ import annotations

import statistics
import subprocess
from typing import TYPE_CHECKING, Any

from bench.machine import facts
from bench.render import chart

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MB = 1_000_000
PAGE = """# Benchmarks

How fast the renderer is beside one ffmpeg command and beside other programs, measured by `make bench-render`.
How fast jobs are taken, handed out and ended is in [benchmarks-control.md](benchmarks-control.md).

**Machine**: {cpu}, {memory}, {system}.
**Versions**: ffmpeg {ffmpeg}, {parts}.
**Date**: {date}. Load of the last 15 minutes at the end: {load}{busy}.

![Seconds and CPU seconds of each contestant](images/bench-render.svg)

## The reel
Six scenes of at least 4 s, 1080p at 30 frames a second: one photo-like picture of 2560x1440 each, a zoom from 1.0 to 1.1,
a title, crossfades of 0.5 s, {spoken} s of narration, ducked music. No one speaks under a transition, so that narration makes
most scenes a little longer than 4 s: {seconds} s and {frames} frames in all, the same for everyone. x264 `veryfast`, CRF 23 for
everyone.

Everyone made it in turn, in {rounds}{peers}; the table shows medians, and a ratio is the median of the rounds' ratios.
CPU counts all processes; for Scenemill the whole stack (API, workers, Postgres, Redis, Flower) less what it spends when idle
({idle} ms a second). Memory is the highest sum of PSS.

{table}

{absent}
## What is not the same
- The command is what someone who knows ffmpeg well would write: pictures scaled to 1.5 times the frame before `zoompan`,
  `drawtext`, `xfade`, `sidechaincompress` and one pass of `loudnorm`, all in one process. Its zoom moves by whole pixels of the
  enlarged picture; Scenemill's is exact below a pixel.
- Scenemill's time goes from before the POST to the end that the task tells, with two render workers. It speaks the narration in
  that time, lays titles on a soft glow, reaches its loudness by measuring and correcting, makes SRT, VTT and a poster, checks all
  segments and the whole, and keeps all parts for the next time.
- Everyone else gets the narration as WAV files. MoviePy neither ducks nor normalises, Remotion ducks by steps and does not
  normalise; its bundle is made before the time starts. Memory of the stack holds its servers as well.
- The encoder alone reads decoded frames of the reel from a file and makes no sound: below it nobody can go.

## Targets
{targets}
"""
CONTESTANTS = (("ffmpeg", "One ffmpeg command"), ("cold", "Scenemill"), ("encode", "The encoder alone"))


def machine(ffmpeg: str) -> dict[str, str]:
    """Return what the figures depend on."""
    said = subprocess.run([ffmpeg, "-version"], capture_output=True, text=True, check=True).stdout
    return {
        **facts(("celery", "opencv-python-headless", "imageio-ffmpeg")),
        "ffmpeg": said.splitlines()[0].removeprefix("ffmpeg version ").partition(" Copyright")[0],
    }


def write(found: dict[str, Any], docs: Path) -> None:
    """Write the page and its picture."""
    bars = [(label, _middle(found, key, "wall"), _middle(found, key, "cpu")) for key, label in _all(found)]
    (docs / "images").mkdir(exist_ok=True)
    (docs / "images" / "bench-render.svg").write_text(chart.draw(bars))
    (docs / "benchmarks.md").write_text(_page(found))


def _all(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the contestants that made the reel: their key and their name."""
    peers = [
        (peer["name"], f"{peer['name']} {peer['version']}") for peer in found["peers"] if not peer["absent"]
    ]
    return [*CONTESTANTS, *peers]


def _middle(found: dict[str, Any], key: str, what: str) -> float:
    return float(statistics.median(one[key][what] for one in found["rounds"] if key in one))


def _ratio(found: dict[str, Any], key: str, to: str, what: str) -> float:
    """Return the median of the rounds' ratios: what ran in the same minutes is compared."""
    rounds = [one for one in found["rounds"] if key in one and to in one]
    return float(statistics.median(one[key][what] / one[to][what] for one in rounds))


def _peak(found: dict[str, Any], key: str, where: str = "all") -> float:
    rounds = [one for one in found["rounds"] if key in one]
    return float(statistics.median(one[key]["memory"].get(where, 0) for one in rounds)) / MB


def _slot(found: dict[str, Any]) -> float:
    """Return the most that one rendering process held, without its ffmpeg."""
    held = [one["cold"]["memory"] for one in found["rounds"]]
    return max(float(most) for each in held for name, most in each.items() if name.startswith("slot")) / MB


def _page(found: dict[str, Any]) -> str:
    reel, rounds = found["reel"], len(found["rounds"])
    return PAGE.format(
        **found["machine"],
        load=f"{found['load']:.1f}",
        busy=_busy(found),
        rounds="one round" if rounds == 1 else f"{rounds} rounds",
        peers=_peer_rounds(found),
        spoken=f"{reel['spoken']:.1f}",
        seconds=f"{reel['seconds']:.2f}",
        frames=reel["frames"],
        idle=f"{1000 * found['idle']:.0f}",
        table="\n".join(_table(found)),
        absent="\n".join(_absent(found)),
        targets="\n".join(_targets(found)),
    )


def _peer_rounds(found: dict[str, Any]) -> str:
    """Say in how many rounds the peers took part, where it was not in all."""
    names = [peer["name"] for peer in found["peers"] if not peer["absent"]]
    fewest = min((sum(name in one for one in found["rounds"]) for name in names), default=0)
    return f" (other programs in the first {fewest})" if 0 < fewest < len(found["rounds"]) else ""


def _busy(found: dict[str, Any]) -> str:
    cores = int(found["machine"]["cpu"].split()[0])
    if found["load"] <= 1.5 * cores + 1:
        return ""
    return (
        " — **the machine was busy with other work**: trust the ratios and the CPU seconds, not the seconds"
    )


def _table(found: dict[str, Any]) -> list[str]:
    rows = [
        "| | seconds | CPU seconds | to the command: time | CPU | memory, MB |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    for key, label in _all(found):
        rows.append(
            f"| {label} | {_middle(found, key, 'wall'):.1f} | {_middle(found, key, 'cpu'):.1f} "
            f"| {_ratio(found, key, 'ffmpeg', 'wall'):.2f} | {_ratio(found, key, 'ffmpeg', 'cpu'):.2f} "
            f"| {_peak(found, key):.0f} |"
        )
    return rows


def _absent(found: dict[str, Any]) -> list[str]:
    missing = [peer for peer in found["peers"] if peer["absent"]]
    if not missing:
        return []
    named = [f"- {peer['name']} {peer['version']}: {peer['absent']}" for peer in missing]
    return ["Not here:", *named, ""]


def _targets(found: dict[str, Any]) -> list[str]:
    rows = ["| | target | measured | |", "| --- | --- | --- | --- |"]

    def row(what: str, target: float, value: float, show: Callable[[float], str]) -> None:
        met = "met" if value <= target else "**missed**"
        rows.append(f"| {what} | ≤ {show(target)} | {show(value)} | {met} |")

    def ratio(value: float) -> str:
        return f"{value:.2f} x"

    row("cold, to the command: time", 1.0, _ratio(found, "cold", "ffmpeg", "wall"), ratio)
    row("cold, to the command: CPU", 1.0, _ratio(found, "cold", "ffmpeg", "cpu"), ratio)
    for key, what, target in (
        ("title", "one title edited, to cold", 0.30),
        ("narration", "narration of one scene edited, to cold", 0.35),
        ("same", "same script again, to cold", 0.05),
    ):
        row(what, target, _ratio(found, key, "cold", "wall"), ratio)
    spoken = max(one["aspect"]["usage"]["speech_characters"] for one in found["rounds"])
    row("other aspect: characters spoken again", 0, spoken, lambda value: f"{value:.0f}")
    beyond = {int(count): value["beyond"] for count, value in found["overhead"].items()}
    row("from POST to finished while no ffmpeg runs, 1 scene", 0.5, beyond[1], lambda value: f"{value:.2f} s")
    row("the same, 100 scenes", 1.5, beyond[100], lambda value: f"{value:.2f} s")
    row("memory of a rendering process beside ffmpeg", 150, _slot(found), lambda value: f"{value:.0f} MB")
    row("planning 500 scenes", 100, 1000 * found["planning"], lambda value: f"{value:.0f} ms")
    lengths, minutes = found["lengths"], found["lengths"]["minutes"]
    for what, name in (("wall", "time"), ("cpu", "CPU")):
        row(
            f"one script of {minutes} minutes, to {minutes} of one: {name}", 1.1,
            lengths["long"][what] / lengths["short"][what], ratio,
        )  # fmt: skip
    for peer in found["peers"]:
        if not peer["absent"]:
            name = peer["name"]
            row(f"cold, to {name}: time", 1.0, _ratio(found, "cold", name, "wall"), ratio)
    return rows
