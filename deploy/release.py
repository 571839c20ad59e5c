"""Builds the distributions into dist/, checks them, and says what to push. It pushes nothing itself. Run it by `make release`.

They are built from what git knows, in a folder of their own: nothing that lies about in the checkout gets into them.
"""

# ruff: noqa: INP001, T201 (a script, which prints what to do; no package)
from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from packaging.metadata import Metadata

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
# Each distribution, and the packages that its wheel holds.
DISTRIBUTIONS = {".": ("api", "shared", "tasks", "workers"), "client": ("scenemill",)}
REQUIRED = ("Name", "Version", "Summary", "License-Expression", "License-File", "Requires-Python")
GIT = ("git", "-C", str(ROOT))


class Unfit(Exception):
    """What is wrong with a distribution, so that it must not be published."""


@dataclass(frozen=True)
class Built:
    """The two files of a distribution."""

    sdist: Path
    wheel: Path


def build(target: Path) -> list[Built]:
    """Build and check every distribution into an empty folder. Raise Unfit if one lacks something."""
    with tempfile.TemporaryDirectory(prefix="scenemill-release-") as folder:
        source = Path(folder)
        _copy(source)
        version = (source / "client/VERSION").read_text().strip()
        return [_build(source / name, packages, target, version) for name, packages in DISTRIBUTIONS.items()]


def released(changelog: str) -> list[tuple[str, str]]:
    """Return version and date of each release that a changelog names, newest first."""
    return re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})$", changelog, re.MULTILINE)


def unreleased(changelog: str) -> bool:
    """Whether a changelog lists changes that belong to no version yet."""
    section = re.search(r"^## \[Unreleased\]$(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    return bool(section and "\n- " in section[1])


def obstacles(version: str, changelog: str, tags: str, changes: str) -> list[str]:
    """Return what has to be done before this version can be published."""
    return [
        what
        for stands_in_the_way, what in (
            (bool(changes), "Commit or stash what git status shows."),
            (
                unreleased(changelog),
                "Name the Unreleased section of CHANGELOG.md after the version, with the date.",
            ),
            (version not in dict(released(changelog)), f"Write a section [{version}] in CHANGELOG.md."),
            (
                f"v{version}" in tags.split(),
                f"Raise client/VERSION and the tags in compose.yaml: v{version} exists.",
            ),
        )
        if stands_in_the_way
    ]


def _copy(target: Path) -> None:
    listed = _run(*GIT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():  # one that was deleted and not committed is still listed
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def _build(source: Path, packages: tuple[str, ...], target: Path, version: str) -> Built:
    before = {*target.glob("*")}
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), str(source))
    files = {*target.glob("*")} - before
    built = Built(
        *(next(file for file in files if file.name.endswith(suffix)) for suffix in (".tar.gz", ".whl"))
    )
    _check(built, source, packages, version)
    return built


def _check(built: Built, source: Path, packages: tuple[str, ...], version: str) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        about = built.wheel.name.partition("-py3-")[0] + ".dist-info"
        _check_files(built.wheel.name, {*wheel.namelist()}, source, (*packages, about))
        _check_metadata(built.wheel.name, wheel.read(f"{about}/METADATA"), version)
    with tarfile.open(built.sdist) as sdist:
        info = sdist.extractfile(f"{built.sdist.name.removesuffix('.tar.gz')}/PKG-INFO")
        _check_metadata(built.sdist.name, info.read() if info else b"", version)


def _check_files(name: str, held: set[str], source: Path, folders: tuple[str, ...]) -> None:
    """Hold a wheel to the files of its packages: all of them, and no others."""
    files = (file for folder in folders for file in (source / folder).rglob("*") if file.is_file())
    expected = {file.relative_to(source).as_posix() for file in files if "__pycache__" not in file.parts}
    if missing := sorted(expected - held):
        raise Unfit(f"{name} lacks {', '.join(missing)}. Name them in [tool.setuptools.package-data].")
    if foreign := {PurePosixPath(file).parts[0] for file in held} - {*folders}:
        raise Unfit(f"{name} holds {', '.join(sorted(foreign))}, which belong to no package of it.")


def _check_metadata(name: str, text: bytes, version: str) -> None:
    """Hold metadata to what an index accepts, and to what we want to say."""
    Metadata.from_email(text, validate=True)
    stated = dict(re.findall(r"^([\w-]+): (.+)$", text.decode().partition("\n\n")[0], re.MULTILINE))
    if missing := [field for field in REQUIRED if field not in stated]:
        raise Unfit(f"{name} states no {', '.join(missing)}.")
    if stated["Version"] != version:
        raise Unfit(f"{name} states version {stated['Version']}, and client/VERSION {version}.")


def _run(*command: str) -> str:
    """Return what a program prints. Raise Unfit with its last lines if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise Unfit(f"{' '.join(command[:4])} failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def _say(built: list[Built], version: str, ahead: list[str]) -> None:
    for one in built:
        print(f"Built and checked {one.sdist.relative_to(ROOT)} and {one.wheel.relative_to(ROOT)}.")
    if ahead:
        print(f"\nBefore {version} can be published:\n" + "\n".join(f"  - {each}" for each in ahead))
    else:
        print(f"\nNothing was pushed. To publish {version}:")
        files = " ".join(str(file.relative_to(ROOT)) for one in built for file in (one.sdist, one.wheel))
        print(f"  git tag -a v{version} -m 'Scenemill {version}' && git push origin v{version}")
        print(f"  pipx run twine upload {files}")


def main() -> None:
    """Build into dist/, which is emptied before."""
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    built = build(DIST)
    version = (ROOT / "client/VERSION").read_text().strip()
    changelog = (ROOT / "CHANGELOG.md").read_text()
    ahead = obstacles(version, changelog, _run(*GIT, "tag"), _run(*GIT, "status", "--porcelain"))
    _say(built, version, ahead)


if __name__ == "__main__":
    try:
        main()
    except Unfit as error:
        sys.exit(str(error))
