"""What is gained over the way it is usually done first: `bench.before` and the whole stack under the same load, in turns.

Both ask the same model on loopback, which takes its time as models do, and render the same small videos. The stack does
more with each (it speaks the narration, captions it, checks what it made): its gains are what is left after that.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from bench import load, measure
from bench.control import growth
from bench.control.lab import answers, until
from bench.figures import middle, part
from bench.render.contest import font
from bench.stack import Stack
from shared.processes.ffmpeg import ffmpeg_path
from tests.loopback.llm import LoopbackModel, writes_a_script
from workers.local import processes
from workers.local.ports import LOOPBACK, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import psutil

MODEL_SECONDS = 1.5  # a small script from a quick model; most take longer
BRIEF = {"scenes": 2, "duration": 6}
OUTPUT = {"resolution": "360p", "fps": 24, "quality": "draft"}
POSTERS, UPLOADERS = 6, 8
UPLOAD_BYTES = 64_000_000
BEARABLE = 5.0  # seconds: within them all of so many requests at once are to be answered
STEPS = (1, 2, 4, 8, 16, 32, 64, 128)
VIDEO_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two, as its client sees it."""

    name: str
    address: str
    pid: int
    headers: dict[str, str]
    post: tuple[str, Callable[[str], dict[str, Any]]]  # where a video is asked for, and by what document
    pages: str
    uploads: str
    groups: dict[str, Callable[[psutil.Process], bool]]

    def client(self) -> httpx.Client:
        """Return a client of one connection."""
        return httpx.Client(base_url=self.address, headers=self.headers, timeout=120)


def measured(folder: Path, *, quick: bool) -> dict[str, Any]:
    """Return the figures of this part."""
    folder.mkdir(parents=True, exist_ok=True)
    upload = growth.noise(folder / "upload.wav", UPLOAD_BYTES // (4 if quick else 1))
    found: dict[str, Any] = {"rounds": [], "upload": upload.stat().st_size, "model": MODEL_SECONDS}
    with ExitStack() as stack:
        model = stack.enter_context(LoopbackModel())
        model.always(_slowly)
        sides = (
            stack.enter_context(_before(folder / "before", model.base_url)),
            stack.enter_context(_now(folder / "now", model.base_url)),
        )
        for side in sides:
            _video(side, side.client(), f"warm {uuid.uuid4()}")
        time.sleep(2)
        found["idle"] = {side.name: growth.held(side.pid) for side in sides}
        for _ in range(1 if quick else 2):
            found["rounds"].append({side.name: _mixed(side, upload, 1 if quick else 2) for side in sides})
        found["growth"] = growth.measured(
            sides, lambda side, file: _upload(side, file, 1), folder, quick=quick
        )
        found["again"] = {side.name: _again(side) for side in sides}
        found["at_once"] = {side.name: _at_once(side, STEPS[:6] if quick else STEPS) for side in sides}
    return found


def _slowly(handler: Any, asked: Any) -> None:
    time.sleep(MODEL_SECONDS)
    writes_a_script(handler, asked)


@contextmanager
def _before(folder: Path, model: str) -> Iterator[Side]:
    """Run the service as it is usually done first."""
    folder.mkdir()
    address = f"{LOOPBACK}:{free_port()}"
    told = {
        "BEFORE_FOLDER": str(folder),
        "BEFORE_LLM_URL": model,
        "BEFORE_FONT": str(font(folder)),
        "BEFORE_FFMPEG": ffmpeg_path(),
    }
    argv = [
        sys.executable, "-m", "gunicorn", "--threads", "8", "--timeout", "300", "--bind", address,
        "--no-control-socket", "bench.before.app:create_app()",
    ]  # fmt: skip
    with (folder / "gunicorn.log").open("wb") as log:
        process = processes.start(argv, env={**os.environ, **told}, cwd=folder.cwd(), output=log)
    url = f"http://{address}"
    try:
        until(lambda: answers(f"{url}/videos"), "The service of before")
        yield Side(
            name="before",
            address=url,
            pid=process.pid,
            headers={"X-Account": "one"},
            post=("/videos", lambda topic: {"topic": topic, **BRIEF}),
            pages="/videos",
            uploads="/uploads",
            groups={},
        )
    finally:
        processes.stop(process, signal.SIGTERM, grace=5)


@contextmanager
def _now(folder: Path, model: str) -> Iterator[Side]:
    """Run the whole stack."""
    with Stack(folder, SCENEMILL_LLM_BASE_URL=model, SCENEMILL_LLM_MODEL="any") as stack:
        stack.new_account()
        key = str(stack.http.headers["Authorization"])
        pids = stack.facts["pids"]
        groups = {name: _below(set(pids[name])) for name in ("api", "postgres", "redis", "flower", "beat")}
        yield Side(
            name="now",
            address=stack.facts["api"],
            pid=stack.pid,
            headers={"Authorization": key},
            post=(
                "/v1/jobs",
                lambda topic: {"kind": "video", "brief": {"topic": topic, **BRIEF}, "output": OUTPUT},
            ),
            pages="/v1/tasks?limit=50",
            uploads="/v1/assets",
            groups=groups,
        )


def _below(pids: set[int]) -> Callable[[psutil.Process], bool]:
    return lambda process: process.pid in pids or process.ppid() in pids


def _mixed(side: Side, upload: Path, videos: int) -> dict[str, Any]:
    """Let clients ask for videos, upload, and list, all at the same time."""
    over = threading.Event()
    pages: list[float] = []
    began = time.monotonic()
    with measure.Watch(side.pid, side.groups) as watch, ThreadPoolExecutor(POSTERS + UPLOADERS + 1) as pool:
        lists = pool.submit(_list, side, over, pages)
        sent = [pool.submit(_upload, side, upload, videos) for _ in range(UPLOADERS)]
        made = [pool.submit(_videos, side, videos) for _ in range(POSTERS)]
        try:
            answered = [pair for each in made for pair in each.result(600)]
            uploads = [one for each in sent for one in each.result(600)]
        finally:
            over.set()
        lists.result(150)
        wall = time.monotonic() - began
    return {
        "post": middle([first for first, _ in answered]),
        "post_p95": part([first for first, _ in answered], 0.95),
        "video": middle([last for _, last in answered]),
        "list": middle(pages),
        "list_p95": part(pages, 0.95),
        "upload": middle(uploads),
        "wall": wall,
        "memory": dict(watch.most),
    }


def _videos(side: Side, number: int) -> list[tuple[float, float]]:
    with side.client() as client:
        return [_video(side, client, f"Reef {uuid.uuid4()}") for _ in range(number)]


def _video(side: Side, client: httpx.Client, topic: str) -> tuple[float, float]:
    """Ask for a video; return the seconds until the answer, and until the video was there."""
    began = time.monotonic()
    path, document = side.post
    answer = client.post(path, json=document(topic))
    answer.raise_for_status()
    first = time.monotonic() - began
    if side.name == "now":
        url = answer.headers["Location"]
        while (task := client.get(url, params={"wait": 10}).json())["status"] != "succeeded":
            if task["status"] in ("failed", "canceled") or time.monotonic() - began > VIDEO_SECONDS:
                raise RuntimeError(f"A video was not made: {task['status']}, {task['error']}")
    return first, time.monotonic() - began


def _upload(side: Side, file: Path, number: int) -> list[float]:
    taken = []
    with side.client() as client:
        for _ in range(number):
            began = time.monotonic()
            with file.open("rb") as content:
                headers = {"Content-Length": str(file.stat().st_size), "Content-Type": "audio/wav"}
                client.post(side.uploads, content=content, headers=headers).raise_for_status()
            taken.append(time.monotonic() - began)
    return taken


def _list(side: Side, over: threading.Event, taken: list[float]) -> None:
    with side.client() as client:
        while not over.is_set() or not taken:
            began = time.monotonic()
            client.get(side.pages).raise_for_status()
            taken.append(time.monotonic() - began)
            over.wait(0.25)


def _again(side: Side) -> float:
    """Return the seconds until a video is there that was asked for before."""
    topic = f"Asked twice {uuid.uuid4()}"
    with side.client() as client:
        _video(side, client, topic)
        return _video(side, client, topic)[1]


def _at_once(side: Side, steps: tuple[int, ...]) -> dict[str, Any]:
    """Return how many requests for videos, sent at once, are all answered in a time that one bears."""
    seen: dict[str, float] = {}
    most = 0
    for number in steps:
        path, document = side.post
        requests = [
            load.request("POST", path, {"Content-Type": "application/json", **side.headers}, _json(document))
            for _ in range(number)
        ]
        outcome = load.run(load.Plan(side.address, requests, number, apart=True))
        slowest = max(outcome.latencies)
        seen[str(number)] = slowest
        if slowest > BEARABLE or not outcome.only(201, 202):
            break
        most = number
    return {"most": most, "slowest": seen}


def _json(document: Callable[[str], dict[str, Any]]) -> bytes:
    return httpx.Request("POST", "http://bench", json=document(f"At once {uuid.uuid4()}")).content
