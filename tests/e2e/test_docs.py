"""The commands that the documentation shows, run as they stand against a whole stack."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from shared.media import probing

if TYPE_CHECKING:
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
    begin = commands("docs/api.md", "# Using the API", "## A job, from POST to file")

    said = shell(stack, tmp_path, begin + commands("docs/templates.md", "# Templates", "## Checks"))

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


def test_the_first_request_of_the_readme_works_as_written(stack: Stack, tmp_path: Path) -> None:
    first, *_ = commands("README.md", "## A first request", "## Where things are").split(
        "curl -s -o hello.mp4"
    )

    shell(stack, tmp_path, first)

    task = json.loads((tmp_path / "job.json").read_text())
    ended = stack.end(task["task_id"], 90)
    assert ended["status"] == "succeeded"
    assert {one["name"] for one in ended["result"]["artifacts"]} >= {
        "video.mp4",
        "captions.srt",
        "poster.jpg",
    }
