"""The gateway can be imported anywhere."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import api


@pytest.mark.slow
def test_importing_reads_no_environment_and_connects_to_nothing() -> None:
    names = [module.name for module in pkgutil.walk_packages(api.__path__, "api.")]
    watch = (
        "import sys, socket, threading\n"
        "def watch(event, args):\n"
        "    if event in ('socket.connect', 'subprocess.Popen'): raise SystemExit(event)\n"
        "sys.addaudithook(watch)\n"
        f"import {', '.join(names)}\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", watch],
        env={},
        cwd=Path(api.__file__).parents[1],
        capture_output=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr.decode()
