"""`scenemill demo`: draws the example's media, starts the stack, submits the script, downloads the video, stops the stack."""

from __future__ import annotations

import contextlib
import json
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenemill import Scenemill
from scenemill.cli.documents import as_job, read
from scenemill.cli.rendering import Screen, facts, render
from scenemill.errors import ScenemillError
from shared.media import probing
from shared.processes.ffmpeg import ffmpeg_path
from workers.local import processes
from workers.local.state import AlreadyRunning, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPT = EXAMPLES / "reef.json"
MAKER = EXAMPLES / "make_media.py"
START_SECONDS = 180
STOP_SECONDS = 60
MEDIA_SECONDS = 120
LOUDNESS = re.compile(r"I:\s+(-?[\d.]+) LUFS")


class DemoFailed(ScenemillError):
    """The demo's files are missing, or the stack did not start."""

    exit_code = 6


def run(folder: Path, console: Console) -> None:
    """Run the demo and print its results."""
    began = time.monotonic()
    if not SCRIPT.is_file():
        raise DemoFailed(
            "The examples are not here: run this from a clone of the repository, by `make demo`."
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pictures = folder / "examples" / SCRIPT.stem
    with _media(pictures, folder, console) as wait_for_pictures, _stack(folder, console) as addresses:
        ready = time.monotonic()
        console.print(f"The stack is up at {addresses['api']} after {ready - began:.1f} s.", highlight=False)
        wait_for_pictures()
        with Scenemill(addresses["api"], addresses["api_key"]) as api:
            job = as_job(read(str(SCRIPT)), {})
            done = render(
                api, job, folder=pictures, target=folder / "demo", screen=Screen(console), label=SCRIPT.stem
            )
        took = time.monotonic() - ready
        video = done.files["video.mp4"]
        for path in (video, *(path for name, path in sorted(done.files.items()) if name != video.name)):
            console.print(f"  {path}", markup=False, highlight=False)
        for line in (*facts(done.task), *measure_video(video)):
            console.print(f"  {line}", markup=False, highlight=False)
        console.print(f"From script to video in {took:.1f} s.", highlight=False)
    console.print(f"Done in {time.monotonic() - began:.1f} s.", style="bold green")


def measure_video(video: Path) -> list[str]:
    """Return the video's frames, frame rate and loudness as lines of text."""
    found = probing.probe(video)
    listen = ("-vn", "-af", "ebur128=framelog=quiet", "-f", "null", "-")
    argv = [ffmpeg_path(), "-nostdin", "-hide_banner", "-i", str(video), *listen]
    heard = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    loudness = LOUDNESS.findall(heard.stderr)
    said = [f"{found.frames} frames at {found.fps:g} a second"] if found.frames and found.fps else []
    said += [f"loudness {loudness[-1]} LUFS"] if loudness else []
    return [", ".join(said)] if said else []


@contextlib.contextmanager
def _media(target: Path, folder: Path, console: Console) -> Iterator[Any]:
    """Draw the example's media while the stack starts; yield a function that waits for them."""
    log = folder / "media.log"
    with log.open("wb") as output:
        process = processes.start(
            [sys.executable, str(MAKER), SCRIPT.stem, str(target)],
            env=processes.child_environment(),
            cwd=folder,
            output=output,
        )

    def wait() -> None:
        with console.status("Drawing the pictures"):
            code = process.wait(timeout=MEDIA_SECONDS)
        if code != 0:
            raise DemoFailed(
                f"The example's media could not be made:\n{log.read_text(errors='replace')[-2000:]}"
            )

    try:
        yield wait
    finally:
        processes.stop(process, signal.SIGKILL, grace=5)


@contextlib.contextmanager
def _stack(folder: Path, console: Console) -> Iterator[dict[str, Any]]:
    """Yield the addresses of the stack on this folder: of one that runs already, or of one that is stopped afterwards."""
    state = State(folder)
    try:
        with state.locked():
            pass
    except AlreadyRunning:
        yield _wait_for_running_stack(state, console)
        return
    log = folder / "up.log"
    with log.open("wb") as errors:
        process = processes.start(
            [sys.executable, "-m", "scenemill", "up", "--port", "0", "--json", "--data", str(folder)],
            env=processes.child_environment(),
            cwd=folder,
            output=subprocess.PIPE,
            errors=errors,
            death_signal=signal.SIGTERM,
        )
    try:
        with console.status("Starting Postgres, Redis, the API, the workers"):
            addresses = _first_line(process, log)
        yield addresses
    finally:
        with console.status("Stopping the stack"):
            processes.stop(process, signal.SIGTERM, grace=STOP_SECONDS)


def _first_line(process: subprocess.Popen[bytes], log: Path) -> dict[str, Any]:
    """Return the addresses that `up --json` prints when everything is ready."""
    output = process.stdout
    if output is not None and select.select([output], [], [], START_SECONDS)[0]:
        line = output.readline()
        if line:
            addresses: dict[str, Any] = json.loads(line)
            return addresses
    words = [line for line in log.read_text(errors="replace").splitlines() if not line.startswith("{")]
    raise DemoFailed("\n".join(["The stack did not come up.", *words[-20:]]))


def _wait_for_running_stack(state: State, console: Console) -> dict[str, Any]:
    """Wait until a stack that another process started is ready."""
    deadline = time.monotonic() + START_SECONDS
    with console.status("Waiting for the stack that is starting already"):
        while time.monotonic() < deadline:
            addresses = state.addresses()
            if addresses is not None:
                return addresses
            time.sleep(0.2)
    raise DemoFailed(f"A stack holds {state.folder}, and is not ready.")
