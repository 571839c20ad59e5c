"""A whole local stack as a user starts it, for tests that talk to it from outside."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

READY_SECONDS = 90
TERMINAL = ("succeeded", "failed", "canceled")
# Faults show quickly, and nothing is so quick that a loaded machine fails it.
QUICK = {
    "SCENEMILL_LEASE_DURATION": "3",
    "SCENEMILL_HEARTBEAT_INTERVAL": "0.7",
    "SCENEMILL_SWEEP_INTERVAL": "0.3",
    "SCENEMILL_REPUBLISH_AFTER": "5",
    "SCENEMILL_RETRY_BASE_DELAY": "0.2",
    "SCENEMILL_RATE_LIMIT": "100000/minute",
    "SCENEMILL_ADDRESS_RATE_LIMIT": "100000/minute",
}


class Stack:
    """One running `scenemill up`. `facts` is the line that it printed when it was ready."""

    def __init__(self, folder: Path, settings: Mapping[str, str] = QUICK) -> None:
        self.folder = folder
        self.settings = dict(settings)
        self.facts: dict[str, Any] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self._http: httpx.Client | None = None

    def start(self) -> Stack:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SCENEMILL_")}
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "stderr.log").open("ab") as errors:
            self.process = subprocess.Popen(
                [
                    Path(sys.executable).with_name("scenemill"),
                    "up",
                    "--port",
                    "0",
                    "--json",
                    "--data",
                    self.folder,
                ],
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**environment, **self.settings},
            )
        self.facts = json.loads(self._line())
        self._http = httpx.Client(
            base_url=self.facts["api"],
            headers={"Authorization": f"Bearer {self.facts['api_key']}"},
            timeout=30,
        )
        return self

    @property
    def http(self) -> httpx.Client:
        assert self._http is not None, "the stack was not started"
        return self._http

    def _line(self) -> bytes:
        assert self.process is not None
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], READY_SECONDS)
        line = self.process.stdout.readline() if ready else b""
        if not line:
            self.kill()
            log = self.folder / "logs" / "scenemill.log"
            raise RuntimeError(log.read_text()[-4000:] if log.exists() else "the stack printed nothing")
        return line

    def stop(self) -> int:
        """Ask it to end, as Ctrl-C does, and return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self._ended(60)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self._ended(10)

    def _ended(self, seconds: float) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        if self._http is not None:
            self._http.close()
        code = self.process.wait(seconds)
        self.process.stdout.close()
        return code

    def post(self, job: Mapping[str, Any], **headers: str) -> dict[str, Any]:
        answer = self.http.post("/v1/jobs", json=job, headers=headers)
        assert answer.status_code == 202, answer.text
        return answer.json()

    def task(self, task_id: str) -> dict[str, Any]:
        answer = self.http.get(f"/v1/tasks/{task_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def until(
        self, task_id: str, holds: Callable[[dict[str, Any]], bool], seconds: float = 90
    ) -> dict[str, Any]:
        """Return the task once it is as wanted, or fail with what it was."""
        deadline = time.monotonic() + seconds
        while not holds(task := self.task(task_id)):
            assert time.monotonic() < deadline, task
            assert task["status"] not in TERMINAL, task
            time.sleep(0.1)
        return task

    def end(self, task_id: str, seconds: float = 90) -> dict[str, Any]:
        return self.until(task_id, lambda task: task["status"] in TERMINAL, seconds)

    def run(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Post a job and return the succeeded task."""
        task = self.end(self.post(job)["task_id"])
        assert task["status"] == "succeeded", task
        return task

    def upload(self, content: bytes) -> str:
        answer = self.http.post("/v1/assets", content=content)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["asset_id"])

    def processes(self, name: str) -> list[psutil.Process]:
        """Return the processes below the supervisor whose command line holds `name`."""
        assert self.process is not None
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if name in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue  # it ended meanwhile
        return found

    def program(self, name: str) -> psutil.Process | None:
        """Return a program that runs by its name, as the stack itself records it."""
        with contextlib.suppress(psutil.Error, OSError):
            for row in json.loads((self.folder / "processes.json").read_text()):
                if row["name"] == name and psutil.Process(row["pid"]).status() != psutil.STATUS_ZOMBIE:
                    return psutil.Process(row["pid"])
        return None

    def wait_for_process(self, name: str, seconds: float = 30) -> list[psutil.Process]:
        deadline = time.monotonic() + seconds
        while not (found := self.processes(name)):
            assert time.monotonic() < deadline, f"no process {name}"
            time.sleep(0.02)
        return found
