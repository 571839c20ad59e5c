"""What the containers run, run here: the commands, environments and health checks of compose.yaml on real servers."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from sqlalchemy import create_engine, text

from workers.local import processes
from workers.local.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPOSE = Path(__file__).parents[3] / "compose.yaml"
STAYING = ("api", "worker-control", "beat", "flower")
WELL_SECONDS = 90
PROGRAMS = Path(sys.executable).parent

pytestmark = [pytest.mark.services, pytest.mark.timeout(180)]


class Container:
    """A service of compose.yaml with its folders, ports and servers put where this test has them."""

    def __init__(self, name: str, places: dict[str, str]) -> None:
        service = yaml.safe_load(COMPOSE.read_text())["services"][name]
        # In one pass: what is put in may look like what is taken out.
        written = re.compile("|".join(map(re.escape, places)))
        moved = written.sub(lambda match: places[match[0]], json.dumps(service))
        self.name = name
        self.service: dict[str, Any] = json.loads(moved)

    @property
    def environment(self) -> dict[str, str]:
        given = {key: value for key, value in self.service["environment"].items() if value is not None}
        path = f"{PROGRAMS}{os.pathsep}{os.defpath}"
        return {"PATH": path, "HOSTNAME": socket.gethostname(), "LANG": "C.UTF-8"} | given

    @property
    def healthcheck(self) -> list[str]:
        kind, *words = self.service["healthcheck"]["test"]
        # Compose takes $$ for a dollar sign.
        return ["sh", "-c", words[0].replace("$$", "$")] if kind == "CMD-SHELL" else words

    def well(self, folder: Path) -> bool:
        seconds = int(self.service["healthcheck"]["timeout"].removesuffix("s"))
        done = subprocess.run(
            self.healthcheck,
            env=self.environment,
            cwd=folder,
            capture_output=True,
            timeout=4 * seconds,
            check=False,
        )
        return done.returncode == 0


@contextmanager
def running(container: Container, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{container.name}.log").open("wb") as log:
        program, *words = container.service["command"]
        argv = [str(PROGRAMS / program), *words]
        process = processes.start(argv, env=container.environment, cwd=folder, output=log)
    try:
        yield process
    finally:
        processes.stop(process, signal.SIGTERM, grace=20)


@pytest.fixture
def places(tmp_path: Path, postgres_url: str, redis_url: str) -> dict[str, str]:
    """Return what stands in compose.yaml, and what takes its place here. A longer text comes before its parts."""
    admin = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS containers WITH (FORCE)"))
        connection.execute(text("CREATE DATABASE containers"))
    admin.dispose()
    service = yaml.safe_load(COMPOSE.read_text())["services"]["api"]
    written = service["environment"]
    redis = redis_url.rpartition("/")[0]
    folders = {
        "/var/lib/scenemill-key": "key",
        "/var/lib/scenemill": "files",
        "/run/metrics": "metrics",
        "/tmp/": ".",  # noqa: S108 (the container's)
    }
    for name in folders.values():
        (tmp_path / name).mkdir(exist_ok=True)
    ports = {port: str(free_port()) for port in ("8000", "5555", "9100")}
    return {
        written["SCENEMILL_DATABASE_URL"]: f"{postgres_url.rpartition('/')[0]}/containers",
        written["SCENEMILL_BROKER_URL"]: f"{redis}/5",
        written["SCENEMILL_REDIS_URL"]: f"{redis}/6",
        **{path: f"{tmp_path / name}" + "/" * path.endswith("/") for path, name in folders.items()},
        "0.0.0.0": "127.0.0.1",  # noqa: S104 (the container's)
        **{f":{port}": f":{here}" for port, here in ports.items()},
        **{f"={port}": f"={here}" for port, here in ports.items()},
        '"9100"': f'"{ports["9100"]}"',
        "--timeout 10": "--timeout 4",  # of a worker that does not answer, which this test waits for
    }


def test_the_containers_come_up_and_are_well(tmp_path: Path, places: dict[str, str]) -> None:
    first = Container("migrate", places)
    done = subprocess.run(
        first.service["command"], env=first.environment, cwd=tmp_path, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (0, "")  # the key is in its file, and not in a log
    assert (tmp_path / "key" / "api.key").read_text().startswith("sm_live_")

    with ExitStack() as stack:
        containers = [Container(name, places) for name in STAYING]
        started = {one.name: stack.enter_context(running(one, tmp_path)) for one in containers}
        deadline = time.monotonic() + WELL_SECONDS
        ailing = set(STAYING)
        while ailing and time.monotonic() < deadline:
            assert {name for name in STAYING if started[name].poll() is not None} == set()
            ailing = {one.name for one in containers if one.name in ailing and not one.well(tmp_path)}
        logs = {name: (tmp_path / f"{name}.log").read_text()[-2000:] for name in ailing}
        assert not ailing, logs

        # What is well no more is told apart.
        worker = started["worker-control"]
        worker.send_signal(signal.SIGSTOP)
        try:
            assert not Container("worker-control", places).well(tmp_path)
        finally:
            worker.send_signal(signal.SIGCONT)
