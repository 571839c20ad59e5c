"""Runs ffmpeg and other programs that read hostile input. No other module starts such a process.

A program runs in its own session with an empty environment, limits on memory, CPU time and file size and, where the
kernel allows it, no network. Its whole process group is killed on every way out of `run`: it ends, fails, stalls, runs
too long, is cancelled, an exception passes through, the worker dies. Its stderr goes to the log and never into an
error's text.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

import imageio_ffmpeg

from shared.errors import RenderFailed, RenderKilled, RenderStalled, RenderTimeout, StorageFull
from shared.processes import orphans
from shared.processes.confinement import Limits, confine
from shared.processes.pipes import Pipes, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = [
    "INPUT_FRAME_STATS",
    "CompletedProgram",
    "Limits",
    "Progress",
    "Stopped",
    "command",
    "ffmpeg_path",
    "run",
]

log = logging.getLogger(__name__)

# Output options with which ffmpeg 6 and newer also reports each frame that its encoder receives. An encoder looks ahead
# by dozens of frames: on a slow machine nothing is written for seconds, although work is done.
INPUT_FRAME_STATS = {"stats_enc_pre:v": "pipe:1", "stats_enc_pre_fmt:v": "taken={n}"}
DISK_FULL_MESSAGES = (
    "No space left on device",
    "Disk quota exceeded",
)  # as the C library words it without a locale
POLL_SECONDS = 0.1  # seconds between two checks of `stop` and of the clocks


class Stopped(Exception):
    """`stop` returned True: the result is no longer needed."""


@dataclass(frozen=True, slots=True)
class CompletedProgram:
    """How a program ended and what it used. `stdout` is empty where argv has `-progress`."""

    returncode: int
    stdout: bytes
    stderr: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int


@cache
def bundled_ffmpeg() -> str:
    """Return the path of the static build that every worker has, so that all of them make the same bytes."""
    folder = Path(imageio_ffmpeg.__file__).parent / "binaries"
    # Not get_ffmpeg_exe() first: it prefers a system ffmpeg named by IMAGEIO_FFMPEG_EXE, which makes other bytes.
    builds = sorted(folder.glob("ffmpeg-*"))
    return str(builds[0]) if builds else imageio_ffmpeg.get_ffmpeg_exe()


def ffmpeg_path(configured: str | Path | None = None) -> str:
    """Return the ffmpeg to use: `SCENEMILL_FFMPEG` where it is set, else the bundled one."""
    return str(configured) if configured else bundled_ffmpeg()


def command(*arguments: str, ffmpeg: str | Path | None = None) -> list[str]:
    """Return the start of an ffmpeg argv: it reports its progress to `run` and never waits for a terminal."""
    # -nostdin: ffmpeg would otherwise read commands from the worker's stdin.
    quiet = ("-hide_banner", "-nostdin", "-y", "-loglevel", "warning")
    report = ("-nostats", "-progress", "pipe:1", "-stats_period", "0.25")
    return [ffmpeg_path(ffmpeg), *quiet, *report, *arguments]


def run(  # noqa: PLR0913  (one call says all about a process)
    argv: Sequence[str],
    *,
    cwd: Path,
    limits: Limits | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
    stdin: IO[bytes] | Iterator[bytes | memoryview] | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    check: bool = True,
) -> CompletedProgram:
    """Run the program to its end, or raise RenderFailed, RenderKilled, RenderStalled, RenderTimeout, StorageFull or Stopped.

    `stdin` is a file or an iterator of chunks. Where argv has `-progress`, stdout is parsed as ffmpeg's reports; else
    it is returned. With `check=False` a non-zero exit code is returned instead of raised.
    """
    bounds = limits or Limits()
    chunks = None if stdin is None or hasattr(stdin, "fileno") else stdin
    source = subprocess.DEVNULL if stdin is None else subprocess.PIPE if chunks is not None else stdin
    process = orphans.start_program(
        lambda: subprocess.Popen(
            list(argv),
            cwd=cwd,
            stdin=source,  # type: ignore[arg-type]
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Not the worker's environment: it holds database passwords and API keys.
            env=dict(env or {}),
            pass_fds=tuple(pass_fds),
            # A session of its own, so that the whole process group can be killed without the worker.
            start_new_session=True,
            preexec_fn=confine(bounds),  # noqa: PLW1509  (only system calls, prepared before the fork)
        )
    )
    try:
        pipes = Pipes(process, chunks, on_progress, read_reports="-progress" in argv)
        try:
            return _run_to_end(process, pipes, bounds, stop, check=check)
        finally:
            pipes.close()
    finally:
        # Reached when Pipes itself fails: without this the program would run on unwatched.
        if process.returncode is None:
            _kill_and_reap(process)


def _run_to_end(
    process: subprocess.Popen[bytes],
    pipes: Pipes,
    limits: Limits,
    stop: Callable[[], bool] | None,
    *,
    check: bool,
) -> CompletedProgram:
    """Serve the program's pipes until it ends, and raise what its end means."""
    started = time.monotonic()
    try:
        _serve_pipes(pipes, limits, stop, started)
    # Also on SystemExit and KeyboardInterrupt: no program may outlive the call.
    except BaseException:
        _kill_and_reap(process)
        pipes.drain()
        _log_end(process, pipes, "process_killed", logging.WARNING)
        raise
    pipes.drain()
    cpu, peak = _kill_and_reap(process)
    seconds = time.monotonic() - started
    completed = CompletedProgram(process.returncode, pipes.stdout(), pipes.stderr(), seconds, cpu, peak)
    _raise_for_exit(process, pipes, completed, check=check)
    return completed


def _serve_pipes(pipes: Pipes, limits: Limits, stop: Callable[[], bool] | None, started: float) -> None:
    """Serve the pipes until the program has ended, or raise why it has to be stopped."""
    last_check = 0.0
    while not pipes.wait(POLL_SECONDS):
        now = time.monotonic()
        if stop is not None and now - last_check >= POLL_SECONDS:
            last_check = now
            if stop():
                raise Stopped
        if now - started > limits.wall:
            raise RenderTimeout(f"This step took longer than {limits.wall:g} s, the limit, and was stopped.")
        if now - pipes.alive > limits.stall:
            raise RenderStalled(f"This step made no progress for {limits.stall:g} s and was stopped.")


def _kill_and_reap(process: subprocess.Popen[bytes]) -> tuple[float, int]:
    """Kill the group and reap its leader; return the CPU seconds and the peak memory.

    The leader is reaped last: once it is, the group's number may belong to another process.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    orphans.kill_leftovers(process.pid)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def _raise_for_exit(
    process: subprocess.Popen[bytes], pipes: Pipes, completed: CompletedProgram, *, check: bool
) -> None:
    """Raise what the exit code means, in words for a client."""
    full = any(sign in completed.stderr for sign in DISK_FULL_MESSAGES)
    if not check or (completed.returncode == 0 and not full):
        _log_end(process, pipes, "process_ended", logging.DEBUG)
        return
    _log_end(process, pipes, "process_failed", logging.WARNING)
    if full:  # even at exit code 0: ffmpeg does not treat every failed write as its own failure
        raise StorageFull("The worker's disk is full.")
    if completed.returncode == -signal.SIGXCPU:
        raise RenderTimeout("This step used more CPU time than allowed.")
    # Not sent by us: where we kill, another error is raised.
    if completed.returncode in (-signal.SIGKILL, -signal.SIGTERM):
        raise RenderKilled("This step was killed from outside, most likely because memory ran out.")
    raise RenderFailed("The picture or the sound could not be rendered.")


def _log_end(process: subprocess.Popen[bytes], pipes: Pipes, event: str, level: int) -> None:
    """Log how it ended; the log's context already names the job."""
    program = Path(str(process.args[0])).name  # type: ignore[index]
    log.log(
        level, event,
        extra={"program": program, "returncode": process.returncode, "stderr": pipes.stderr()[-4000:]},
    )  # fmt: skip
