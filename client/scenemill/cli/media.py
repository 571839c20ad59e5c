"""Local files in a script: found, uploaded, and replaced by the asset that they became. The server never sees a path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scenemill.errors import MediaMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

ELSEWHERE = ("asset:", "https://", "http://")


def is_local(source: str) -> bool:
    """Tell whether a `src` names a file here, rather than an asset, an address or a variable."""
    return not source.startswith(ELSEWHERE) and "{{" not in source


def local_sources(script: Any) -> Iterator[str]:
    """Give every local `src` of a script, wherever it stands."""
    if isinstance(script, dict):
        source = script.get("src")
        if isinstance(source, str) and is_local(source):
            yield source
        for value in script.values():
            yield from local_sources(value)
    elif isinstance(script, list):
        for value in script:
            yield from local_sources(value)


def replaced(script: Any, assets: Mapping[str, str]) -> Any:
    """Return a copy of the script in which `src`s are replaced."""
    if isinstance(script, list):
        return [replaced(value, assets) for value in script]
    if not isinstance(script, dict):
        return script
    copy = {name: replaced(value, assets) for name, value in script.items()}
    source = copy.get("src")
    if isinstance(source, str) and source in assets:
        copy["src"] = assets[source]
    return copy


def find(source: str, folder: Path) -> Path:
    """Return the file that a `src` names under `folder`, or raise MediaMissing.

    A script that came from someone else must not be able to send any file of this machine away.
    """
    path = (folder / source).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise MediaMissing(
            f"The script names {source!r}, which lies outside {folder}. Choose the folder with --media."
        )
    if not path.is_file():
        raise MediaMissing(f"The script names {source!r}, and there is no such file in {folder}.")
    return path


def upload_all(script: Any, folder: Path, upload: Callable[[Path], str]) -> Any:
    """Upload each local file once, and return the script that names the assets."""
    paths = {source: find(source, folder) for source in dict.fromkeys(local_sources(script))}
    return replaced(script, {source: f"asset:{upload(path)}" for source, path in paths.items()})
