"""From a script's file to the files of its video: what `scenemill render` does, for whoever else wants it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scenemill.cli import media
from scenemill.cli.display import Follower
from scenemill.errors import ScenemillError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import Console

    from scenemill.client import Scenemill
    from scenemill.types.tasks import Task


# What makes a document a job, and no script.
MADE_OF = frozenset(("script", "brief", "template_id", "script_task_id"))


class Unreadable(ScenemillError):
    """A script's file is not what it should be."""

    exit_code = 2


@dataclass(frozen=True)
class Rendered:
    """A finished video job and its files here, by name."""

    task: Task
    files: Mapping[str, Path]


def read_job(path: Path, output: Mapping[str, Any]) -> dict[str, Any]:
    """Read a script, or a whole job with its output, and put `output` over what it says."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Unreadable(f"There is no file {path}.") from None
    except ValueError as error:
        raise Unreadable(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Unreadable(f"{path} is not a JSON object.")
    job = document if MADE_OF & document.keys() else {"script": document}
    merged = {**job.get("output", {}), **output}
    return {"kind": "video", **job} | ({"output": merged} if merged else {})


def render(
    api: Scenemill, job: dict[str, Any], *, folder: Path, out: Path, console: Console, label: str
) -> Rendered:
    """Upload local media, submit, follow and download; or raise a ScenemillError."""
    if "script" in job:
        with console.status("Uploading media"):
            script = media.upload_all(job["script"], folder, lambda path: api.assets.upload(path).asset_id)
        job = {**job, "script": script}
    return fetch(api, follow(api, api.jobs.submit(job), console, label), out)


def follow(api: Scenemill, task: Task, console: Console, label: str) -> Task:
    """Show a task's way to its end, and return it, or raise TaskFailed."""
    try:
        with Follower(console, label) as shown:
            shown(task)
            return api.tasks.wait(task, on_change=shown)
    except KeyboardInterrupt:
        console.print(
            f"The job goes on. `scenemill status {task.task_id}` looks, `scenemill cancel` ends it."
        )
        raise


def fetch(api: Scenemill, task: Task, out: Path) -> Rendered:
    """Download everything that a task made."""
    return Rendered(task, api.tasks.download_all(task, out))
