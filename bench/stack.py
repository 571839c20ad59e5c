"""A whole local stack as a user starts it, asked over HTTP as a user asks it, and watched from outside."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping

READY_SECONDS = 120
JOB_SECONDS = 1800
RENDERS = 2
POLL = 0.3
NEW_ACCOUNT = """
import sys
from shared import accounts, db
with db.transaction() as session:
    print(accounts.create_key(session, accounts.ensure_account(session, sys.argv[1]), "bench", accounts.SCOPES)[1])
"""


class Stack:
    """One running `scenemill up` with two render workers. Each account that is made here has seen nothing yet."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._folder = folder
        self._given = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._accounts = 0
        self.facts: dict[str, Any] = {}
        self.http = httpx.Client()

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        command = Path(sys.executable).with_name("scenemill")
        argv = [
            str(command),
            "up",
            "--port",
            "0",
            "--json",
            "--renders",
            str(RENDERS),
            "--data",
            str(self._folder),
        ]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SCENEMILL_")}
        limits = {"SCENEMILL_RATE_LIMIT": "100000/minute", "SCENEMILL_ADDRESS_RATE_LIMIT": "100000/minute"}
        with (self._folder / "stderr.log").open("ab") as errors:
            self._process = subprocess.Popen(
                argv, stdout=subprocess.PIPE, stderr=errors, env={**environment, **limits, **self._given}
            )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], READY_SECONDS)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            self._process.kill()
            raise RuntimeError("The stack did not start; see its folder's logs.")
        self.facts = json.loads(line)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self.http.close()
        self._process.send_signal(signal.SIGINT)
        self._process.wait(60)

    @property
    def pid(self) -> int:
        """The supervisor: everything runs below it."""
        assert self._process is not None
        return self._process.pid

    def new_account(self) -> None:
        """Go on as an account that has nothing stored: nothing of what others rendered or spoke is its own."""
        self._accounts += 1
        name = f"bench-{self._accounts}"
        made = subprocess.run(
            [sys.executable, "-c", NEW_ACCOUNT, name],
            check=True,
            env=self._settings(),
            stdout=subprocess.PIPE,
        )
        self.http.close()
        headers = {"Authorization": f"Bearer {made.stdout.decode().strip()}"}
        self.http = httpx.Client(base_url=self.facts["api"], headers=headers, timeout=90)

    def _settings(self) -> dict[str, str]:
        return {
            **os.environ,
            "SCENEMILL_DATABASE_URL": self.facts["database_url"],
            "SCENEMILL_BROKER_URL": self.facts["broker_url"],
            "SCENEMILL_REDIS_URL": self.facts["redis_url"],
            "SCENEMILL_STORAGE_URL": str(self._folder / "storage"),
        }

    def upload(self, path: Path) -> str:
        """Return the name by which a script can speak of the file."""
        answer = self.http.post("/v1/assets", content=path.read_bytes())
        answer.raise_for_status()
        return f"asset:{answer.json()['asset_id']}"

    def run(self, script: Mapping[str, Any], output: Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
        """Post a job and return the seconds from before the POST until it was finished, and the task.

        The end is the one that the task tells, on the same machine's clock: how often we ask must not matter.
        """
        began = datetime.now(UTC)
        answer = self.http.post("/v1/jobs", json={"kind": "video", "script": script, "output": output})
        answer.raise_for_status()
        url = f"/v1/tasks/{answer.json()['task_id']}"
        while (datetime.now(UTC) - began).total_seconds() < JOB_SECONDS:
            task = self.http.get(url).json()
            if task["status"] == "succeeded":
                return (datetime.fromisoformat(task["finished_at"]) - began).total_seconds(), task
            if task["status"] in ("failed", "canceled"):
                raise RuntimeError(f"The job {task['status']}: {task['error']}")
            time.sleep(POLL)
        raise RuntimeError("The job did not end in time.")

    @property
    def renders(self) -> int:
        """The worker that renders: its main process."""
        return int(self.facts["pids"]["workers"]["renders"][0])

    def slots(self) -> list[int]:
        """Return the processes in which that worker renders."""
        return [
            child.pid for child in psutil.Process(self.renders).children() if "ffmpeg" not in child.name()
        ]
