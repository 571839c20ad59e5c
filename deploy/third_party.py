"""Writes THIRD_PARTY.md: what Scenemill installs and starts, under which licences, and how each part is used.

The lock says which packages belong to it, their installed metadata says the licences, and third_party.toml adds what the
metadata leaves out. The page is the same for every Python version: a package that the running one does not install
keeps the row that it has. Run it by `make licenses`.
"""

# ruff: noqa: INP001 (a script beside the files that it reads, no package)
from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from email.message import Message

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "THIRD_PARTY.md"
LOCK = ROOT / "requirements.lock"
PROJECTS = ("pyproject.toml", "client/pyproject.toml")
PIN = re.compile(r"^([a-z0-9][\w.-]*)==(\S+)(?: ; ([^\\\n]+))?", re.MULTILINE)
ROW = re.compile(r"^\| (\S+) \| (\S+?) [|(]")
# Scenemill runs on Linux with CPython; 3.11.2 is Debian 12's, the oldest that people have.
PYTHONS = ("3.11.2", "3.11.14", "3.12.0", "3.13.0", "3.14.0")
LINKS = ("homepage", "home", "source", "source code", "repository", "github", "documentation")
SPDX = {
    "Apache Software License": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "BSD 2-Clause License": "BSD-2-Clause",
    "MIT License": "MIT",
    "MIT license": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


INTRODUCTION = """# Third-party software

Written by `make licenses` from `requirements.lock` and `deploy/third_party.toml`: change those, not this page.

Scenemill itself is under the Apache License 2.0 (see [LICENSE](LICENSE)), and its source contains no code of the projects below:
`make setup` and the Dockerfile download them. Whoever passes on an environment or an image that holds them passes on copies
of them as well, and follows their licences: the GPL and the LGPL, for instance, ask for the source to be offered.
"""


class Unknown(Exception):
    """A fact that neither the metadata nor third_party.toml states."""


@dataclass(frozen=True)
class Pin:
    """A version of a package in the lock, the packages that need it, and the environments that install it."""

    name: str
    version: str
    marker: str
    needed_by: frozenset[str]

    @property
    def on_linux(self) -> bool:
        """Whether CPython installs it on Linux."""
        return not self.marker or any(
            Marker(self.marker).evaluate(
                {**_LINUX, "python_full_version": python, "python_version": python[:4]}
            )
            for python in PYTHONS
        )

    @property
    def pythons(self) -> str:
        """The Python versions that install it, or nothing where all do."""
        return ", ".join(
            f"Python {sign} {version}"
            for sign, version in re.findall(r"python_full_version (\S+) '([\d.]+)'", self.marker)
        )


_LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix",
          "platform_python_implementation": "CPython", "implementation_name": "cpython"}  # fmt: skip


def locked(lock: str) -> list[Pin]:
    """Return the pins of a lock file in its order."""
    starts = [*PIN.finditer(lock)]
    ends = [start.start() for start in starts[1:]] + [len(lock)]
    return [
        Pin(start[1], start[2], (start[3] or "").strip(), _needed_by(lock[start.end() : end]))
        for start, end in zip(starts, ends, strict=True)
    ]


def runtime(pins: Iterable[Pin], roots: set[str]) -> list[Pin]:
    """Return the pins that CPython installs on Linux for `roots` and all that they need: no tool of the developers."""
    pins = [pin for pin in pins if pin.on_linux]
    needed = set(roots)
    while more := {pin.name for pin in pins if pin.needed_by & needed} - needed:
        needed |= more
    return [pin for pin in pins if pin.name in needed]


def roots() -> set[str]:
    """Return the names that the distributions of this repository depend on."""
    projects = (
        tomllib.loads((ROOT / name).read_text())["project"] for name in PROJECTS if (ROOT / name).exists()
    )
    return {
        canonicalize_name(Requirement(each).name) for project in projects for each in project["dependencies"]
    }


def installed(name: str) -> Message | None:
    """Return the metadata of an installed package."""
    try:
        return cast("Message", metadata.metadata(name))
    except metadata.PackageNotFoundError:
        return None


def page(
    pins: Iterable[Pin],
    facts: dict[str, Any],
    old: str,
    find: Callable[[str], Message | None] = installed,
) -> str:
    """Return the page. Raise Unknown for a package without a licence or, if it is not installed, without a row in `old`."""
    kept = {match.group(1, 2): line for line in old.splitlines() if (match := ROW.match(line))}
    rows = [_row(pin, facts["packages"].get(pin.name, {}), find(pin.name), kept) for pin in pins]
    return "\n".join(
        [
            INTRODUCTION,
            "## Programs that run as processes of their own\n",
            *(_use(one) for one in facts["program"]),
            "## Libraries and data that come inside packages\n",
            *(_use(one) for one in facts["library"]),
            "## Extras that `make setup` does not install\n",
            *(_use(one) for one in facts["extra"]),
            "## Container images that compose.yaml starts\n",
            *(f"- [{one['name']}]({one['url']}): {one['license']}" for one in facts["image"]),
            "\n## Python packages\n",
            "| package | version | licence | home page |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _needed_by(entry: str) -> frozenset[str]:
    """Read what follows `# via`, on its own line or on lines below it."""
    comment = entry.partition("# via")[2]
    return frozenset(re.findall(r"^(?:\s+#)?\s*([a-z0-9][\w.-]*)\s*$", comment, re.MULTILINE))


def _row(
    pin: Pin,
    known: dict[str, str],
    found: Message | None,
    kept: dict[tuple[str, ...], str],
) -> str:
    if row := kept.get((pin.name, pin.version)) if found is None or found["Version"] != pin.version else None:
        return row
    if found is None:
        raise Unknown(
            f"{pin.name} {pin.version} is in the lock, not installed here, and has no row in {PAGE.name}."
            f" Run `make licenses` with a Python that installs it ({pin.pythons or 'any'})."
        )
    # Of another version than the running Python installs, the installed one tells the licence until that Python writes the row.
    license_ = known.get("license") or _license(found)
    if not license_:
        raise Unknown(f"{pin.name} states no licence. Read its files and add it to third_party.toml.")
    version = f"{pin.version} ({pin.pythons})" if pin.pythons else pin.version
    return f"| {pin.name} | {version} | {license_} | {known.get('url') or _link(found)} |"


def _license(found: Message) -> str | None:
    """Return the licence as an SPDX expression, if the metadata is clear about it."""
    if expression := found.get("License-Expression"):
        return expression
    classifiers = [each for each in found.get_all("Classifier", []) if each.startswith("License ::")]
    stated = [found.get("License") or "", *(each.split(" :: ")[-1] for each in classifiers)]
    names = [SPDX.get(each, each) for each in stated]
    return next(
        (name for name in names if re.fullmatch(r"(MIT|0BSD|[A-Za-z]+-\d[\w.-]*)( (OR|AND) \S+)*", name)),
        None,
    )


def _link(found: Message) -> str:
    links = {
        label.strip().lower(): url.strip()
        for label, _, url in (each.partition(",") for each in found.get_all("Project-URL", []))
    }
    stated = [found.get("Home-page") or "", *(links.get(label, "") for label in LINKS)]
    return next((url for url in stated if url.startswith("http")), "")


def _use(one: dict[str, Any]) -> str:
    """Return the paragraph of a program or library."""
    packages = ", ".join(f"`{each}`" for each in one["packages"])
    return f"**[{one['name']}]({one['url']})**, in {packages}. Licence: {one['license']}.\n{one['use']}\n"


def current() -> str:
    """Return the page as it has to be now."""
    facts = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
    old = PAGE.read_text() if PAGE.exists() else ""
    return page(runtime(locked(LOCK.read_text()), roots()), facts, old)


if __name__ == "__main__":
    try:
        PAGE.write_text(current())
    except Unknown as error:
        sys.exit(str(error))
