"""Where downloads go: looked at before anything is posted, so that a finished video always has its place."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scenemill.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# The files that a video job can make, by what asks for them.
FORMATS: Mapping[str, tuple[str, ...]] = {
    "mp4": ("video.mp4",),
    "webm": ("video.webm",),
    "hls": ("hls.m3u8", "hls_media.m3u8", "hls.mp4"),
    "gif": ("preview.gif",),
    "mp3": ("audio.mp3",),
}
SIDECARS: Mapping[str, tuple[str, ...]] = {
    "srt": ("captions.srt",),
    "vtt": ("captions.vtt",),
    "poster": ("poster.jpg",),
    "storyboard": ("storyboard.jpg", "storyboard.vtt"),
    "script": ("script.json",),
}
DEFAULT_FORMATS, DEFAULT_SIDECARS = ("mp4",), ("srt", "vtt", "poster")


@dataclass(frozen=True)
class OneFile:
    """The file that the video alone is written to, and the artifact that it is."""

    path: Path
    artifact: str


def check_folder(folder: Path, names: Iterable[str], *, force: bool) -> None:
    """Raise UsageError where a folder cannot take these files, or has some of them already and `force` is not set."""
    if folder.exists() and not folder.is_dir():
        raise click.UsageError(f"--out {folder} is a file. Give a folder.")
    _check_writable(folder, "--out")
    taken = sorted(name for name in names if (folder / name).exists())
    if taken and not force:
        rest = f" and {len(taken) - 3} more" if len(taken) > 3 else ""
        raise click.UsageError(
            f"{folder} has {', '.join(taken[:3])}{rest} already. "
            "Add --force to replace them, or choose another folder with --out."
        )


def check_file(path: Path, *, force: bool) -> None:
    """Raise UsageError where a file cannot be written, or is there already and `force` is not set."""
    if path.is_dir():
        raise click.UsageError(f"--output-file {path} is a folder. Give a file, or use --out for a folder.")
    if not path.parent.is_dir():
        raise click.UsageError(f"--output-file {path}: there is no folder {path.parent}.")
    _check_writable(path.parent, "--output-file")
    if path.exists() and not force:
        raise click.UsageError(f"{path} exists already. Add --force to replace it, or choose another name.")


def holds(path: Path, sha256: str) -> bool:
    """Tell whether a file is there and has these bytes."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def inside(folder: Path, name: str) -> Path:
    """Return the path of a file in a folder, which is made; or raise IntegrityError where the name leads out of it."""
    root = folder.resolve()
    if not (root / name).resolve().is_relative_to(root):
        raise IntegrityError(f"The API names an artifact {name!r}, outside the folder {folder}.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def expected(output: Mapping[str, Any]) -> list[str]:
    """Return the names of the files that a job with this output makes."""
    formats, sidecars = output.get("formats"), output.get("sidecars")
    chosen = [FORMATS.get(str(one), ()) for one in _listed(formats, DEFAULT_FORMATS)]
    chosen += [SIDECARS.get(str(one), ()) for one in _listed(sidecars, DEFAULT_SIDECARS)]
    return [name for names in chosen for name in names]


def one_file(path: Path, output: Mapping[str, Any]) -> tuple[OneFile, dict[str, Any]]:
    """Return which artifact a file is to be, by its ending, and what the output must ask for so that it is made."""
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS or kind == "hls":
        raise click.UsageError(
            f"--output-file {path}: a video ends in .mp4, .webm or .gif, its sound alone in .mp3."
        )
    formats = output.get("formats")
    if formats is None:
        return OneFile(path, FORMATS[kind][0]), {"formats": [kind]}
    if kind not in _listed(formats, ()):
        made = ", ".join(map(str, _listed(formats, ())))
        raise click.UsageError(f"--output-file {path}: the job makes {made}, and no {kind}.")
    return OneFile(path, FORMATS[kind][0]), {}


def _listed(value: Any, default: tuple[str, ...]) -> list[Any]:
    return value if isinstance(value, list) else list(default)


def _check_writable(folder: Path, option: str) -> None:
    """Raise UsageError where nothing can be written into a folder, or into the one that it would be made in."""
    nearest = next((one for one in (folder, *folder.absolute().parents) if one.exists()), Path("/"))
    if not nearest.is_dir():
        raise click.UsageError(f"{option} {folder}: {nearest} is a file, not a folder.")
    try:
        # Permissions alone do not say it: root may do everything, but not on a disk that is mounted read-only.
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise click.UsageError(
            f"{option} {folder}: nothing can be written to {nearest}: {error.strerror}."
        ) from error
