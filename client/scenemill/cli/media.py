"""Local files in a script: found, uploaded, and replaced by the asset that they became. The server never sees a path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from scenemill.errors import MediaMissing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# What a dry run puts in the place of a local file: nothing is uploaded for it.
PLACEHOLDER = "https://local.invalid/"
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
    path = folder / source
    if not path.resolve().is_relative_to(folder.resolve()):
        raise MediaMissing(
            f"The script names {source!r}, which lies outside {folder}. Choose the folder with --media."
        )
    if not path.is_file():
        raise MediaMissing(f"The script names {source!r}, and there is no such file in {folder}.")
    return path


def files(script: Any, folder: Path | None) -> dict[str, Path]:
    """Return the local files that a script names, each once, or raise MediaMissing."""
    sources = list(dict.fromkeys(local_sources(script)))
    if sources and folder is None:
        raise MediaMissing(
            f"The script names the local file {sources[0]!r}. Say with --media in which folder it is."
        )
    return {source: find(source, folder) for source in sources if folder is not None}


def absolute(script: Any, url: str) -> Any:
    """Return a script from the web in which a relative `src` is the address of a file beside the script."""
    base = httpx.URL(url)
    return replaced(script, {source: str(base.join(source)) for source in set(local_sources(script))})
