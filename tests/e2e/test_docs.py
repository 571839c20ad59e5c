"""The commands that the documentation shows, run as they stand against a whole stack."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from shared.media import probing
from tests.e2e.conftest import PREFIX
from workers.local.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.stack import Stack

ROOT = Path(__file__).parents[2]
WRITTEN = "http://127.0.0.1:8000"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.services,
    pytest.mark.skipif(
        not (shutil.which("curl") and shutil.which("jq")), reason="the documentation uses curl and jq"
    ),
]


def commands(page: str, start: str, end: str) -> str:
    """Return the shell commands of a page between two headings."""
    text = f"\n{(ROOT / page).read_text()}".split(f"\n{start}\n", 1)[1].split(f"\n{end}\n", 1)[0]
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL))


def shell(stack: Stack, folder: Path, script: str) -> str:
    (folder / ".scenemill").mkdir()
    (folder / ".scenemill" / "api.key").write_text(stack.facts["api_key"] + "\n")
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script.replace(WRITTEN, stack.facts["api"])],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_guide_to_the_api_works_as_written(stack: Stack, tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((640, 360)).convert("RGB").save(tmp_path / "photo.jpg")

    said = shell(stack, tmp_path, commands("docs/api.md", "# Using the API", "## Health"))

    assert json.loads((tmp_path / "task.json").read_text())["status"] == "succeeded"
    assert probing.probe(tmp_path / "video.mp4").height == 480
    assert "Hello, world." in (tmp_path / "captions.srt").read_text()
    assert json.loads((tmp_path / "batch.json").read_text())["counts"]["queued"] == 2
    assert "HTTP/1.1 202" in said
    problems = re.findall(r'"code": ?"([a-z-]+)"', said)
    assert not problems  # the 409s of a task that has ended show as their status alone


def test_the_guide_to_templates_works_as_written(stack: Stack, tmp_path: Path) -> None:
    begin = commands("docs/api.md", "# Using the API", "## Jobs and tasks")

    said = shell(
        stack,
        tmp_path,
        begin + commands("docs/templates.md", "# Templates", "## Check values without rendering"),
    )

    assert '"template_id":"quote"' in said.replace(" ", "")
    assert '"version":1' in said.replace(" ", "")
    assert '"queued":2' in said.replace(" ", "").replace("\n", "")
    assert not re.findall(r'"code": ?"([a-z-]+)"', said)


def test_the_guide_to_the_client_works_as_written(stack: Stack, tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((640, 360)).convert("RGB").save(tmp_path / "photo.jpg")
    blocks = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs/client.md").read_text(), flags=re.MULTILINE | re.DOTALL
    )
    (tmp_path / "guide.py").write_text("\n".join(blocks).replace(WRITTEN, stack.facts["api"]))
    cache = f"--cache-dir={tmp_path / 'cache'}"

    said = shell(stack, tmp_path, f"{sys.executable} -X dev -W error guide.py")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", cache, "guide.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip

    assert {one.name for one in (tmp_path / "reef").iterdir()} >= {"video.mp4", "captions.srt"}
    assert probing.probe(tmp_path / "hello.mp4").height == 360
    assert "#/output/resolution" in said
    assert "#/script/scenes/0/duration" in said
    assert "['succeeded', 'succeeded']" in said
    assert checked.returncode == 0, checked.stdout


@pytest.mark.timeout(420)
def test_the_readme_works_as_written(clone: Path) -> None:
    folder = clone
    port, up = free_port(), None
    try:
        for language, block in blocks("README.md"):
            if block.split(maxsplit=1)[0] in NOT_RUN:
                continue
            if block == "make up\n":
                up = start_up(folder, port)
            elif language == "json":
                (folder / "photo.json").write_text(block)
            else:
                run_block(folder, language, block.replace(WRITTEN, f"http://127.0.0.1:{port}"))
            if block.startswith(".venv/bin/scenemill render photo.json"):
                assert {name: probing.probe(folder / name).height for name in HEIGHTS} == HEIGHTS
    finally:
        if up is not None:
            os.killpg(up.pid, signal.SIGINT)  # as a terminal sends Ctrl-C
            up.wait(60)  # make itself dies by the signal, once the stack has stopped

    assert (folder / "screen").read_text().splitlines()[-1] == "Stopped."
    assert not (folder / ".scenemill").exists()  # the last block removes it


# What the README's commands leave, in lines of the picture.
HEIGHTS = {
    ".scenemill/demo/video.mp4": 720, "hello.mp4": 720, "reef/video.mp4": 720, "article.mp4": 360,
    "python-video/video.mp4": 1080, "photo.mp4": 720,
}  # fmt: skip
# The first words of what needs the network or somebody's key; tests/unit/deploy/test_docs.py checks these.
NOT_RUN = ("git", "export", ".venv/bin/pip")


def blocks(page: str) -> list[tuple[str, str]]:
    return re.findall(
        r"^```(sh|json|python)\n(.*?)^```", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL
    )


@pytest.fixture
def clone() -> Iterator[Path]:
    """Give a folder with everything that a clone has and `make setup` adds, without anyone's data."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        folder = Path(name)
        for path in ROOT.iterdir():
            if path.name not in (".scenemill", ".git"):
                (folder / path.name).symlink_to(path)
        Image.linear_gradient("L").resize((1280, 720)).convert("RGB").save(folder / "photo.jpg")
        yield folder


def run_block(folder: Path, language: str, block: str) -> None:
    # The environment is that of the tests: make must not install into it.
    make = 'make() { command make -o .venv/.stamp "$@"; }\n'
    # One block's variables are the next one's, as in one terminal.
    before, after = (
        "touch variables; . ./variables\n",
        "declare -p KEY TASK > variables 2> /dev/null || true\n",
    )
    argv = ["bash", "-e", "-o", "pipefail", "-c", make + before + block + after]
    if language == "python":
        argv = [".venv/bin/python", "-c", block]
    done = subprocess.run(
        argv, cwd=folder, env=plain(), capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, block + done.stdout + done.stderr


def plain() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("SCENEMILL_")}


def start_up(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """Start `make up`, and wait until it has printed the key."""
    screen = folder / "screen"
    with screen.open("wb") as terminal:
        process = subprocess.Popen(
            ["make", "-o", ".venv/.stamp", "up", f"PORT={port}", f"FLOWER_PORT={free_port()}"],
            cwd=folder, env=plain(), stdout=terminal, stderr=terminal, start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + 120
    while "API key" not in screen.read_text():
        assert process.poll() is None, screen.read_text()
        assert time.monotonic() < deadline, screen.read_text()
        time.sleep(0.1)
    return process
