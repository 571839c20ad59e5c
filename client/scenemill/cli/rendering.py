"""From a job to the files of its video: media uploaded, job submitted, followed, downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenemill.cli import media, output
from scenemill.cli.following import follow_task
from scenemill.errors import TaskFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from scenemill import Scenemill
    from scenemill.cli.targets import OneFile
    from scenemill.types.tasks import Task


@dataclass(frozen=True)
class Rendered:
    """A task that has succeeded, and its files on this machine by name."""

    task: Task
    files: Mapping[str, Path]


def render(
    api: Scenemill,
    job: Mapping[str, Any],
    *,
    folder: Path | None,
    target: Path | OneFile,
    console: Console,
    label: str,
    quiet: bool = False,
) -> Rendered:
    """Upload local media, submit a job, follow it and download its files, or raise a ScenemillError."""
    task = submit(api, job, folder=folder, console=console, quiet=quiet)
    ended = follow_task(api, task, label=label, console=console, quiet=quiet)
    return download(api, succeeded(ended), target)


def submit(
    api: Scenemill, job: Mapping[str, Any], *, folder: Path | None, console: Console, quiet: bool = False
) -> Task:
    """Upload the local files that a job's script names, submit the job, and return its task."""
    return api.jobs.submit(uploaded(api, job, folder=folder, console=console, quiet=quiet))


def uploaded(
    api: Scenemill, job: Mapping[str, Any], *, folder: Path | None, console: Console, quiet: bool = False
) -> dict[str, Any]:
    """Return a job in which every local file is an asset."""
    if "script" not in job:
        return dict(job)
    paths = media.files(job["script"], folder)
    assets = {}
    for number, (source, path) in enumerate(paths.items(), 1):
        if console.is_terminal and not quiet:
            with console.status(f"Uploading {path.name} ({number} of {len(paths)})"):
                assets[source] = api.assets.upload(path).src
        else:
            assets[source] = api.assets.upload(path).src
    return {**job, "script": media.replaced(job["script"], assets)}


def succeeded(task: Task) -> Task:
    """Return a task that has succeeded, or raise TaskFailed."""
    if task.status != "succeeded":
        raise TaskFailed(task)
    return task


def download(api: Scenemill, task: Task, target: Path | OneFile) -> Rendered:
    """Download the files of a task into a folder, or one of them to a path."""
    if isinstance(target, Path):
        return Rendered(task, api.tasks.download_all(task, target))
    artifact = task.artifact(target.artifact)
    return Rendered(task, {artifact.name: api.tasks.download(artifact, target.path)})


def video_of(files: Mapping[str, Path]) -> Path | None:
    """Return the file that a player opens: the video, else the animation or the sound."""
    order = ("video.mp4", "video.webm", "preview.gif", "audio.mp3")
    return next((files[name] for name in order if name in files), None)


def facts(task: Task) -> list[str]:
    """Return what is worth knowing about a finished video, a line each."""
    lines = []
    video = next((one for one in task.artifacts if one.media_type.startswith("video/")), None)
    if video is not None and task.result is not None:
        length = output.seconds(video.duration or task.result.duration)
        lines.append(f"{length}, {video.width}x{video.height}, {output.size(video.bytes)}")
    if task.result is not None and task.kind == "video":
        usage = task.result.usage
        lines.append(
            f"{usage.rendered_segments} segments rendered, {usage.cached_segments} from the cache, "
            f"{usage.render_seconds:.1f} s of rendering"
        )
        lines += [f"Warning: {one}" for one in task.result.warnings]
        lines += list(_credits(task.result.credits))
    return lines


def _credits(credits_: Sequence[Any]) -> list[str]:
    return list(dict.fromkeys(f"Picture by {one.author} ({one.provider})" for one in credits_ if one.author))
