"""The `scenemill` command against a whole stack: every line of docs/command.md as it stands, and Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from shared.media import probing

if TYPE_CHECKING:
    from tests.e2e.stack import Stack

PAGE = Path(__file__).parents[2] / "docs" / "command.md"
SCENEMILL = Path(sys.executable).with_name("scenemill")

pytestmark = [pytest.mark.e2e, pytest.mark.services]


@pytest.fixture
def folder(stack: Stack, tmp_path: Path) -> Path:
    """A folder in which the stack runs, as far as the command can see."""
    (tmp_path / ".scenemill").symlink_to(stack.folder)
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SCENEMILL_")}
    return {
        **kept,
        "XDG_CONFIG_HOME": str(folder / "config"),
        "PATH": f"{SCENEMILL.parent}:{os.environ['PATH']}",
    }


@pytest.mark.skipif(not shutil.which("jq"), reason="the documentation uses jq")
@pytest.mark.timeout(280)
def test_every_line_of_the_page_works_as_written(folder: Path) -> None:
    Image.linear_gradient("L").resize((640, 360)).convert("RGB").save(folder / "photo.jpg")
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL))

    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=folder, capture_output=True, text=True, timeout=270, check=False, env=environment(folder),
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert probing.probe(folder / "reef" / "video.mp4").height == 360
    assert probing.probe(folder / "reef.mp4").height == 360
    assert (folder / "captions.srt").read_text().startswith("1\n00:00:00")
    assert (folder / "copy.jpg").read_bytes() == (folder / "photo.jpg").read_bytes()
    assert [
        json.loads(line)["custom_id"] for line in (folder / "results.ndjson").read_text().splitlines()
    ] == [
        "tides",
        "dunes",
    ]
    assert {one.name for one in (folder / "greetings").iterdir()} == {"ada", "grace"}
    assert json.loads((folder / "tides.json").read_text())["language"] == "en"
    assert "Did you mean narration?" in done.stdout
    assert f"(the stack on {folder / '.scenemill'})" in done.stderr
    assert "Logged out." in done.stdout


def test_ctrl_c_leaves_the_task_running_and_says_how_to_go_on(stack: Stack, folder: Path) -> None:
    scenes = [{"narration": f"Scene number {number} of a video that takes its time."} for number in range(20)]
    (folder / "long.json").write_text(json.dumps({"scenes": scenes}))
    process = subprocess.Popen(
        [SCENEMILL, "render", "long.json"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(folder),
    )  # fmt: skip
    assert process.stderr is not None
    first = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)

    assert first == "long: queued\n"
    assert process.returncode == 130
    watch, cancel = re.findall(r"scenemill (tasks \w+ \S+)", err)
    task_id = watch.split()[-1]
    assert stack.task(task_id)["status"] in ("queued", "running")
    canceled = subprocess.run(
        [SCENEMILL, *cancel.split()], cwd=folder, capture_output=True, text=True, timeout=30, check=False,
        env=environment(folder),
    )  # fmt: skip
    assert canceled.stdout in (f"{task_id}: canceling\n", f"{task_id}: canceled\n")
    assert stack.end(task_id)["status"] == "canceled"


def test_a_dry_run_knows_a_script_with_local_pictures(folder: Path) -> None:
    Image.linear_gradient("L").save(folder / "a.png")
    visual = {"type": "image", "src": "a.png"}
    (folder / "tale.json").write_text(json.dumps({"scenes": [{"narration": "Hello.", "visual": visual}]}))

    done = subprocess.run(
        [SCENEMILL, "render", "tale.json", "--dry-run", "--json"],
        cwd=folder, capture_output=True, text=True, timeout=30, check=False, env=environment(folder),
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["valid"] is True
