"""The files that tasks made: downloaded, each checked by its SHA-256."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from scenemill.calls import tasks
from scenemill.core import downloads, requests
from scenemill.core.steps import blocking
from scenemill.errors import IntegrityError, TaskFailed
from scenemill.types.tasks import Task

if TYPE_CHECKING:
    from scenemill.calls.reading import Reference
    from scenemill.core.steps import Flow
    from scenemill.types.tasks import Artifact


def download(artifact: Artifact, target: str | Path) -> Flow[Path]:
    """Download a file of a task to `target`, a path, or a folder in which it keeps its name, and return the path.

    A broken connection goes on where it broke off. The file appears when it is whole; one whose SHA-256 is not the
    announced one raises IntegrityError.
    """
    path = Path(target)
    if (yield from blocking(path.is_dir)):
        path = _inside(path, artifact.name)
    return (yield from downloads.to_file(requests.get(artifact.url), artifact, path))


def download_all(task: Reference, folder: str | Path) -> Flow[dict[str, Path]]:
    """Download every file of a task that has succeeded into a folder, and return the paths by name."""
    seen = task if isinstance(task, Task) and task.finished else (yield from tasks.get(task))
    if seen.status != "succeeded":
        raise TaskFailed(seen)
    files = {}
    for artifact in seen.artifacts:
        target = _inside(Path(folder), artifact.name)
        files[artifact.name] = yield from downloads.to_file(requests.get(artifact.url), artifact, target)
    return files


def read(artifact: Artifact) -> Flow[bytes]:
    """Return the bytes of a file of a task, such as its captions."""
    target = io.BytesIO()
    yield from downloads.into(requests.get(artifact.url), artifact, target, artifact.name)
    return target.getvalue()


def _inside(folder: Path, name: str) -> Path:
    root = folder.resolve()
    target = (root / name).resolve()
    if not target.is_relative_to(root):
        raise IntegrityError(f"The API names an artifact {name!r}, outside the folder {folder}.")
    return folder / name
