"""Small programs that a supervisor runs for a test, and what it wrote down of them."""

from __future__ import annotations

import json

import psutil

from workers.local.output import StackLog
from workers.local.supervisor import Supervisor

STAY = "import time; print('up', flush=True); time.sleep(60)"


def runs(pid):
    """Tell whether a process runs: one that has ended and waits for init to take notice does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Stage:
    """Runs services, and tells what happened."""

    def __init__(self, folder):
        self.folder = folder
        self.log = StackLog(folder / "logs", None)

    def run(self, services, on_ready=lambda _: False):
        supervisor = Supervisor(tuple(services), self.log, on_change=lambda: None)
        supervisor.run(lambda: on_ready(supervisor))
        return supervisor

    def events(self):
        return [json.loads(line) for line in self.log.path.read_text().splitlines()]

    def close(self):
        self.log.close()
