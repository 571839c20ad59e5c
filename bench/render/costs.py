"""Measures what is no contest: what a job costs beyond ffmpeg, planning, and whether long scripts cost more."""

from __future__ import annotations

import statistics
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bench import measure
from bench.render import reel
from bench.stack import Stack
from shared.script import timeline
from shared.script.schema.loading import load
from shared.script.schema.output import OutputSchema
from shared.script.schema.script import ScriptSchema
from tasks.video.captions import cues as captions
from tasks.video.plan import segments
from tasks.video.plan.cache_keys import renderer_versions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WRAPPER = """#!/bin/sh
began=$(/usr/bin/date +%s.%N)
{ffmpeg} "$@"
code=$?
echo "$began $(/usr/bin/date +%s.%N)" >> {log}
exit $code
"""
SHORT = {"aspect": "16:9", "resolution": "720p", "fps": 30, "quality": "draft"}


def scenes(count: int, seconds: float, picture: str | None = None) -> dict[str, Any]:
    """Return a script of silent scenes, each with a title, cross-faded where they are long enough."""
    visual = (
        {"type": "image", "src": picture}
        if picture
        else {"type": "gradient", "colors": ["#0d1b2a", "#1b6ca8"]}
    )
    return {
        "defaults": {"transition": {"type": "crossfade", "duration": 0.5}} if seconds > 1 else {},
        "captions": {"style": "none"},
        "scenes": [
            {"duration": seconds, "visual": visual, "text": [{"text": f"Scene {index + 1}", "role": "title"}]}
            for index in range(count)
        ],
    }


def overhead(folder: Path, ffmpeg: str, counts: Sequence[int], repeats: int) -> dict[int, dict[str, float]]:
    """Return the seconds from POST to finished in which no ffmpeg ran, by the number of scenes.

    Every ffmpeg of the stack is started through a wrapper that writes down when it ran.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log, wrapper = folder / "ran.txt", folder / "ffmpeg"
    wrapper.write_text(WRAPPER.format(ffmpeg=ffmpeg, log=log))
    wrapper.chmod(0o755)
    found = {}
    with Stack(folder / "data", SCENEMILL_FFMPEG=str(wrapper)) as stack:
        stack.new_account()
        stack.run(scenes(1, 1), SHORT)  # what is done once in a process's life is no part of a job
        for count in counts:
            walls, beyond = [], []
            for _ in range(repeats):
                stack.new_account()
                log.write_text("")
                wall, task = stack.run(scenes(count, 1), SHORT)
                end = datetime.fromisoformat(task["finished_at"]).timestamp()
                walls.append(wall)
                beyond.append(wall - busy(log.read_text(), end - wall, end))
            found[count] = {"wall": statistics.median(walls), "beyond": statistics.median(beyond)}
    return found


def busy(log: str, first: float, last: float) -> float:
    """Return for how long of a time any ffmpeg ran."""
    total, until = 0.0, first
    for begin, end in sorted(tuple(map(float, line.split())) for line in log.splitlines()):
        total += max(0.0, min(end, last) - max(begin, until))
        until = max(until, end)
    return total


def planning(count: int = 500) -> float:
    """Return the seconds that it takes to lay out and cut a script of so many scenes; the median of some."""
    script = load(ScriptSchema(), scenes(count, 4))
    output = load(OutputSchema(), reel.OUTPUT)
    renderer_versions()
    taken = []
    for _ in range(7):
        began = time.perf_counter()
        planned = timeline.plan_timeline(script, {}, output.fps)
        cues = captions.make_cues(planned, script, {})
        segments.plan_segments(
            planned, script, output, {}, cues, account="bench", versions=renderer_versions()
        )
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def long_and_short(stack: Stack, idle: float, picture: Path, minutes: int) -> dict[str, dict[str, float]]:
    """Return what one script of so many minutes costs, and as many scripts of a minute, none of it stored before."""
    found = {}
    each = 10  # scenes a minute: 6 s apart, and each transition overlaps half a second
    for name, count, jobs in (("long", each * minutes, 1), ("short", each, minutes)):
        wall = 0.0
        with measure.observed(stack.pid, {}, idle) as cost:
            for _ in range(jobs):
                stack.new_account()
                wall += stack.run(scenes(count, 6.5, stack.upload(picture)), SHORT)[0]
            cost.wall = wall
        found[name] = {"wall": wall, "cpu": cost.cpu}
    return found
