"""From a job to the files of its video: media uploaded, job submitted, followed, downloaded."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenemill.cli import media, output, targets
from scenemill.cli.following import follow_task
from scenemill.errors import ApiError, ScenemillError, TaskFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from rich.console import Console

    from scenemill import Scenemill
    from scenemill.cli.targets import OneFile
    from scenemill.types.assets import Asset
    from scenemill.types.tasks import Task


@dataclass(frozen=True)
class Rendered:
    """A task that has succeeded, and its files on this machine by name."""

    task: Task
    files: Mapping[str, Path]


@dataclass(frozen=True)
class Screen:
    """Where progress is shown, if at all."""

    console: Console
    quiet: bool = False

    def step(self, words: str) -> AbstractContextManager[object]:
        """Show on a terminal what goes on within the block."""
        return self.console.status(words) if self.console.is_terminal and not self.quiet else nullcontext()


class UploadRefused(ScenemillError):
    """The API does not accept a local file that a script names."""

    exit_code = ApiError.exit_code


def render(
    api: Scenemill, job: Mapping[str, Any], *, folder: Path | None, target: Path, screen: Screen, label: str
) -> Rendered:
    """Upload local media, submit a job, follow it and download its files, or raise a ScenemillError."""
    task = submit(api, job, folder=folder, screen=screen)
    ended = follow_task(api, task, label=label, console=screen.console, quiet=screen.quiet)
    return download(api, succeeded(ended), target, force=True, screen=screen)


def submit(api: Scenemill, job: Mapping[str, Any], *, folder: Path | None, screen: Screen) -> Task:
    """Upload the local files that a job's script names, submit the job, and return its task."""
    if "script" not in job:
        return api.jobs.submit(job)
    assets = {}
    paths = media.files(job["script"], folder)
    for number, (source, path) in enumerate(paths.items(), 1):
        with screen.step(f"Uploading {path.name} ({number} of {len(paths)})"):
            assets[source] = uploaded(api, path).src
    return api.jobs.submit({**job, "script": media.replaced(job["script"], assets)})


def uploaded(api: Scenemill, path: Path) -> Asset:
    """Upload a file and return its asset, or raise UploadRefused, which names the file."""
    try:
        return api.assets.upload(path)
    except ApiError as error:
        raise UploadRefused(f"{path}: {error}") from error


def succeeded(task: Task) -> Task:
    """Return a task that has succeeded, or raise TaskFailed."""
    if task.status != "succeeded":
        raise TaskFailed(task)
    return task


def download(api: Scenemill, task: Task, target: Path | OneFile, *, force: bool, screen: Screen) -> Rendered:
    """Download the files of a task into a folder, or one of them to a path.

    What is there already stays as it is. Another file of the same name is replaced with `force`, else UsageError.
    """
    if not isinstance(target, Path):
        artifact = task.artifact(target.artifact)
        with screen.step(f"Downloading {artifact.name}"):
            return Rendered(task, {artifact.name: api.tasks.download(artifact, target.path)})
    missing = [one for one in task.artifacts if not targets.holds(target / one.name, one.sha256)]
    targets.check_folder(target, [one.name for one in missing], force=force)
    for number, one in enumerate(missing, 1):
        with screen.step(f"Downloading {one.name} ({number} of {len(missing)})"):
            api.tasks.download(one, targets.inside(target, one.name))
    return Rendered(task, {one.name: target / one.name for one in task.artifacts})


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
        picture = f"{video.width}x{video.height}, " if video.width else ""
        lines.append(f"{length}, {picture}{output.size(video.bytes)}")
    if task.result is not None and task.kind == "video":
        usage = task.result.usage
        lines.append(
            f"{output.count(usage.rendered_segments, 'segment')} rendered, {usage.cached_segments} from the cache, "
            f"{usage.render_seconds:.1f} s of rendering"
        )
        lines += [f"Warning: {one}" for one in task.result.warnings]
        lines += list(_credits(task.result.credits))
    return lines


def _credits(credits_: Sequence[Any]) -> list[str]:
    return list(dict.fromkeys(f"Picture by {one.author} ({one.provider})" for one in credits_ if one.author))
