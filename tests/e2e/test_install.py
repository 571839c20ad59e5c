"""`pip install ./client` in an empty environment: what it brings, that the command starts, and a typed job."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.services, pytest.mark.timeout(400)]

CLIENT = Path(__file__).parents[2] / "client"
# httpx, click, rich and anyio, which httpx needs anyway, with all that these need.
KNOWN = {
    "anyio", "certifi", "click", "h11", "httpcore", "httpx", "idna", "markdown-it-py", "mdurl", "pygments", "rich",
    "scenemill", "sniffio", "typing-extensions",
}  # fmt: skip
MOST_MEGABYTES = 24  # with the bytecode that pip compiles; half of it is pygments, which rich needs
JOB = """
import sys
from scenemill import Scenemill
from scenemill.types import Scene, Script, Task, VideoJob

scene: Scene = {"narration": "Hello, world.", "visual": {"type": "color", "colors": ["#0d1b2a"]}}
script: Script = {"title": "Hello", "scenes": [scene]}
job: VideoJob = {"kind": "video", "script": script, "output": {"resolution": "360p", "quality": "draft"}}
with Scenemill(sys.argv[1], sys.argv[2]) as api:
    task: Task = api.tasks.wait(api.jobs.submit(job), timeout=120)
    files = api.tasks.download_all(task, sys.argv[3])
print(*sorted(files))
"""


def run(*argv: object, folder: Path) -> str:
    done = subprocess.run(
        [str(each) for each in argv], cwd=folder, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an environment in which nothing but the client is installed. It is built from a copy, which stays clean."""
    folder = tmp_path_factory.mktemp("install")
    shutil.copytree(
        CLIENT, folder / "client", ignore=shutil.ignore_patterns("*.egg-info", "build", "__pycache__")
    )
    run(sys.executable, "-m", "venv", "environment", folder=folder)
    pip = folder / "environment/bin/pip"
    run(pip, "install", "--quiet", "--disable-pip-version-check", "./client", folder=folder)
    return folder / "environment"


def test_the_client_installs_few_packages(environment: Path, record_property: pytest.RecordProperty) -> None:
    listed = run(
        environment / "bin/pip", "list", "--format", "json", "--disable-pip-version-check", folder=environment
    )
    packages = {one["name"].lower().replace("_", "-") for one in json.loads(listed)} - {"pip", "setuptools"}
    (site,) = environment.glob("lib/python*/site-packages")
    own = [
        one for one in site.iterdir() if not one.name.lower().startswith(("pip", "setuptools", "_distutils"))
    ]
    files = [file for one in own for file in (one.rglob("*") if one.is_dir() else [one]) if file.is_file()]
    megabytes = sum(file.stat().st_size for file in files) / 1e6

    record_property("packages", len(packages))
    record_property("megabytes", round(megabytes, 1))
    sys.stdout.write(f"pip install ./client: {len(packages)} packages, {megabytes:.1f} MB\n")
    assert packages <= KNOWN
    assert megabytes < MOST_MEGABYTES


def test_the_command_starts_without_the_server(environment: Path) -> None:
    version = run(environment / "bin/scenemill", "--version", folder=environment)
    commands = run(environment / "bin/scenemill", "--help", folder=environment)

    assert version.strip().endswith((CLIENT / "VERSION").read_text().strip())
    assert "render" in commands
    assert "doctor" not in commands


def test_a_typed_job_is_checked_and_rendered(environment: Path, stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(JOB)
    python = environment / "bin/python"
    checked = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--cache-dir",
        tmp_path / "cache",
        "--python-executable",
        python,
    ]

    run(*checked, "job.py", folder=tmp_path)
    files = run(
        python, "job.py", stack.facts["api"], stack.facts["api_key"], tmp_path / "out", folder=tmp_path
    )

    assert "video.mp4" in files.split()
    assert (tmp_path / "out" / "video.mp4").stat().st_size > 10_000
    (tmp_path / "job.py").write_text(JOB.replace('"narration"', '"narrations"').replace("timeout", "timout"))
    wrong = subprocess.run(
        [*map(str, checked), "job.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert 'Extra key "narrations" for TypedDict "Scene"' in wrong.stdout
    assert 'Unexpected keyword argument "timout"' in wrong.stdout
