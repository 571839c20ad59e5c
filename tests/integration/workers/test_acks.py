"""A worker whose acknowledgement of a message is lost goes on taking messages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from celery import Celery

from workers.local import processes
from workers.local import redis as rd
from workers.local.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.services

SECONDS = 20


def test_a_worker_whose_broker_stops_while_it_acknowledges_takes_the_next_message(open_folder: Path) -> None:
    folder = open_folder / "acks"
    redis = rd.prepare(folder, free_port())
    server = processes.start(redis.argv(), env={"PATH": os.defpath}, cwd=folder, output=subprocess.DEVNULL)
    environment = {
        **os.environ,
        "SCENEMILL_DATABASE_URL": "postgresql://",
        "SCENEMILL_BROKER_URL": redis.url(0),
        "SCENEMILL_REDIS_URL": redis.url(1),
        "SCENEMILL_STORAGE_URL": str(folder),
        "REDIS_PID": str(server.pid),
        "PYTHONWARNINGS": "ignore",
    }
    argv = [
        sys.executable,
        "-m",
        "celery",
        "--quiet",
        "-A",
        "tests.integration.workers.freezing",
        "worker",
        "-c",
        "1",
    ]
    argv += ["-Q", "scripts", "--without-gossip", "--without-mingle"]
    worker = subprocess.Popen(
        argv,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    late = threading.Timer(SECONDS, os.killpg, (worker.pid, signal.SIGKILL))
    late.start()
    lines = []
    try:
        while not redis.ready():
            assert server.poll() is None
        with Celery(broker=redis.url(0), set_as_current=False) as app:
            app.conf.broker_transport_options = {"global_keyprefix": "scenemill:"}
            for text in ("freeze", "next"):
                app.send_task("note", args=[text], queue="scripts")
        assert worker.stdout is not None
        for line in worker.stdout:
            lines.append(line)
            if line.startswith("done next"):
                break
    finally:
        late.cancel()
        processes.stop(server, signal.SIGKILL, grace=5)
        if worker.poll() is None:
            os.killpg(worker.pid, signal.SIGKILL)
        worker.communicate(timeout=10)

    said = "".join(lines)
    assert "Couldn't ack" in said  # else the fault did not hit
    assert "done freeze" in said
    assert "done next" in said
