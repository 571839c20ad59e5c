"""Measures what a piece of work costs: wall time, CPU of a whole process tree, and the most memory that it held.

Memory is PSS (shared pages are counted once), sampled. CPU counts every process below a root, ended ones too,
since the kernel adds a reaped child's time to its parent's.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

SAMPLE = 0.2  # seconds


@dataclass(slots=True)
class Cost:
    """What something took. Bytes of memory by the name of what held them."""

    wall: float = 0.0
    cpu: float = 0.0
    memory: dict[str, int] = field(default_factory=dict)

    @property
    def peak(self) -> int:
        """The most that the whole tree held at once."""
        return self.memory.get("all", 0)


class Watch:
    """Samples the memory of a process tree in a thread of its own, as long as the `with` lasts."""

    def __init__(
        self, root: int, groups: Mapping[str, Callable[[psutil.Process], bool]] | None = None
    ) -> None:
        self._root = psutil.Process(root)
        self._groups = dict(groups or {})
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self.most: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(SAMPLE):
            self._sample()

    def _sample(self) -> None:
        sums: dict[str, int] = {"all": 0}
        for process in tree(self._root):
            try:
                held = pss(process.pid)
                names = [name for name, belongs in self._groups.items() if belongs(process)]
            except (psutil.Error, OSError):
                continue  # it ended meanwhile
            for name in ("all", *names):
                sums[name] = sums.get(name, 0) + held
        for name, value in sums.items():
            self.most[name] = max(self.most.get(name, 0), value)


def pss(pid: int) -> int:
    """Return a process's share of the memory in use, in bytes."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def tree(root: psutil.Process) -> list[psutil.Process]:
    """Return a process and all below it."""
    try:
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def cpu(root: psutil.Process) -> float:
    """Return the CPU seconds of a tree so far, those of its ended and reaped processes included."""
    total = 0.0
    for process in tree(root):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def run(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None) -> Cost:
    """Run a program and return what it and all below it cost, or raise with its last words."""
    errors = cwd / "stderr.log"
    began = time.monotonic()
    with errors.open("wb") as log:
        process = subprocess.Popen(
            list(argv), cwd=cwd, env=dict(env) if env is not None else None,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        with Watch(process.pid) as watch:
            used = _reap(process)
    wall = time.monotonic() - began
    if process.returncode:
        raise RuntimeError(f"{argv[0]} failed: {errors.read_text(errors='replace')[-1500:]}")
    return Cost(wall, used, watch.most)


def _reap(process: subprocess.Popen[bytes]) -> float:
    """Wait for a process and return its CPU seconds with those of all that it reaped."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


@contextmanager
def observed(
    root: int, groups: Mapping[str, Callable[[psutil.Process], bool]], idle: float = 0.0
) -> Iterator[Cost]:
    """Measure what a running tree spends in the `with`, less what it spends a second when idle."""
    cost = Cost()
    process = psutil.Process(root)
    before, began = cpu(process), time.monotonic()
    with Watch(root, groups) as watch:
        yield cost
        cost.wall = cost.wall or time.monotonic() - began
    cost.cpu = cpu(process) - before - idle * (time.monotonic() - began)
    cost.memory = watch.most
