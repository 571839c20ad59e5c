"""`scenemill doctor`: checks which programs, packages, ports and folders are there, in which version, and what is missing.

It only runs programs to ask for their version, and changes nothing.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from shared.errors import ServiceError
from shared.processes.ffmpeg import ffmpeg_path
from shared.settings import Settings
from shared.storage.factory import BUCKET
from workers.local import postgres, redis
from workers.local.ports import is_free
from workers.local.stack import API_PORT, FLOWER_PORT

if TYPE_CHECKING:
    from collections.abc import Iterable

State = Literal["ok", "note", "missing"]
Version = tuple[int, ...]

# Older versions have known vulnerabilities. Each maintained branch has its own floor; a version between two branches
# belongs to none that is maintained.
FFMPEG_FLOORS: tuple[Version, ...] = ((8, 1, 3), (9, 0, 2))
REDIS_FLOORS: tuple[Version, ...] = ((6, 2, 24), (7, 2, 16), (7, 4, 11), (8, 2, 9), (8, 4, 6))
POSTGRES_FLOORS: tuple[Version, ...] = ((14,),)
PYTHON_FLOORS: tuple[Version, ...] = ((3, 11),)
PACKAGE_FLOORS: dict[str, Version] = {
    "celery": (5, 6),
    "flower": (1, 2),
    "gunicorn": (22,),
    "werkzeug": (3, 0, 6),
}
FONT_PACKS = {
    "justmytype-western-core": "Latin, Greek, Cyrillic",
    "justmytype-intl-rtl": "Arabic, Hebrew",
    "justmytype-intl-south-asia": "Devanagari",
    "justmytype-intl-cjk": "Chinese, Japanese, Korean",
    "manimgx-fonts": "emoji",
}
MIN_FREE_BYTES = 2 * 1000**3
PROGRAM_SECONDS = 10
# Runs in a process of its own: the library is under the GPL, and no process of ours may load it.
ESPEAK_VERSION = """
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
library.espeak_Info.restype = ctypes.c_char_p
print(library.espeak_Info(None).decode())
"""


@dataclass(frozen=True)
class Finding:
    """One line of the report. `note` says what it means and what to do."""

    name: str
    state: State
    version: str = ""
    where: str = ""
    note: str = ""


def run_checks(folder: Path, *, ffmpeg: str | None = None) -> list[Finding]:
    """Check everything that the local stack needs."""
    return [
        _python(),
        _ffmpeg(ffmpeg),
        _postgres(),
        _redis(),
        *(_package(name, floor) for name, floor in PACKAGE_FLOORS.items()),
        _espeak(),
        *(_fonts(pack, scripts) for pack, scripts in FONT_PACKS.items()),
        *_ports(),
        *_folder(folder),
        *_bucket(),
    ]


def parse_version(text: str) -> Version:
    """Return the first version number in a text, or () when there is none."""
    found = re.search(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def missed_floor(version: Version, floors: Iterable[Version]) -> Version | None:
    """Return the floor that a version is below, or None.

    A floor's numbers but the last name a branch: 7.2.16 applies to 7.2.x. A version of no listed branch must reach the
    next higher floor, if there is one.
    """
    higher = [floor for floor in sorted(floors) if version < floor]
    lower = [floor for floor in sorted(floors) if version >= floor]
    if not higher:
        return None
    if lower and version[: len(lower[-1]) - 1] == lower[-1][:-1]:
        return None
    return higher[0]


def judge_version(name: str, text: str, floors: Iterable[Version], *, where: str, risk: str) -> Finding:
    """Return the finding for a program of a known version."""
    version = parse_version(text)
    shown = ".".join(map(str, version)) or "?"
    floor = missed_floor(version, floors)
    if floor is None:
        return Finding(name, "ok", shown, where)
    return Finding(name, "note", shown, where, f"below {'.'.join(map(str, floor))}: {risk}")


def _run_program(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PROGRAM_SECONDS, check=False)
    return done.stdout + done.stderr


def _python() -> Finding:
    version = platform.python_version()
    finding = judge_version("Python", version, PYTHON_FLOORS, where=sys.executable, risk="too old")
    return (
        finding
        if finding.state == "ok"
        else Finding("Python", "missing", version, sys.executable, finding.note)
    )


def _ffmpeg(named: str | None) -> Finding:
    path = ffmpeg_path(named)
    try:
        words = _run_program(path, "-hide_banner", "-version")
        filters = _run_program(path, "-hide_banner", "-filters")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("ffmpeg", "missing", "", path, str(error))
    first = words.splitlines()[0] if words else ""
    lacking = [name for name in ("subtitles", "loudnorm", "xfade") if f" {name} " not in filters]
    if lacking:
        return Finding("ffmpeg", "missing", first, path, f"has no filter {', '.join(lacking)}")
    return judge_version(
        "ffmpeg", first, FFMPEG_FLOORS, where=path, risk="it reads files that others made; take a newer one"
    )


def _postgres() -> Finding:
    try:
        path = str(postgres.programs() / "postgres")
        words = _run_program(path, "--version")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("Postgres", "missing", note=str(error))
    if os.geteuid() == 0 and shutil.which("useradd") is None:
        return Finding(
            "Postgres", "missing", words, path, "root needs useradd, to give Postgres a user of its own"
        )
    return judge_version("Postgres", words, POSTGRES_FLOORS, where=path, risk="too old")


def _redis() -> Finding:
    try:
        path = redis.program()
        words = _run_program(path, "--version")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("Redis", "missing", note=str(error))
    safe = "fine on the loopback address, where the local stack has it; not where others can reach it"
    return judge_version("Redis", words, REDIS_FLOORS, where=path, risk=safe)


def _package(name: str, floor: Version) -> Finding:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(name, "missing", note="make setup installs it")
    return judge_version(name, version, (floor,), where=_package_folder(name), risk="holes are known")


def _package_folder(name: str) -> str:
    spec = find_spec(name)
    return str(Path(spec.origin).parent) if spec and spec.origin else ""


def _espeak() -> Finding:
    spec = find_spec("espeakng_loader")
    if spec is None or spec.origin is None:
        return Finding("espeak-ng", "missing", note="make setup installs it")
    path = Path(spec.origin).with_name("libespeak-ng.so")
    words = _run_program(sys.executable, "-I", "-c", ESPEAK_VERSION, str(path)).strip()
    if not words[:1].isdigit():  # a traceback: its last line says what is wrong
        return Finding("espeak-ng", "missing", "", str(path), words.splitlines()[-1])
    voices = sum(1 for one in path.with_name("espeak-ng-data").rglob("*_dict"))
    return Finding("espeak-ng", "ok" if voices else "missing", words, str(path), f"{voices} languages")


def _fonts(pack: str, scripts: str) -> Finding:
    try:
        files = metadata.files(pack) or []
        version = metadata.version(pack)
    except metadata.PackageNotFoundError:
        return Finding("fonts", "missing", note=f"{pack} ({scripts}): make setup installs it")
    fonts = [file for file in files if file.suffix.lower() in (".ttf", ".otf", ".ttc")]
    state: State = "ok" if fonts and all(Path(str(font.locate())).is_file() for font in fonts) else "missing"
    return Finding("fonts", state, version, pack, f"{len(fonts)} files: {scripts}")


def _ports() -> Iterable[Finding]:
    for name, port, option in (("API", API_PORT, "--port"), ("Flower", FLOWER_PORT, "--flower-port")):
        free = is_free(port)
        note = "free" if free else f"in use: by Scenemill itself, or choose another with {option}"
        yield Finding(f"port {port}", "ok" if free else "note", where=name, note=note)


def _folder(folder: Path) -> Iterable[Finding]:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    writable = os.access(there, os.W_OK | os.X_OK)
    yield Finding(
        "data",
        "ok" if writable else "missing",
        where=str(folder),
        note="" if writable else "cannot write here",
    )
    free = shutil.disk_usage(there).free
    enough = free >= MIN_FREE_BYTES
    note = "" if enough else f"less than {MIN_FREE_BYTES / 1e9:.0f} GB: long videos may not fit"
    yield Finding("disk", "ok" if enough else "note", f"{free / 1e9:.1f} GB free", str(there), note)


def _bucket() -> Iterable[Finding]:
    """Check the bucket, if the environment names one."""
    try:
        config = Settings(database_url="", broker_url="", redis_url="")  # type: ignore[call-arg]  # the rest is there or not
    except ValidationError as error:
        told = [each for each in error.errors() if str(each["loc"][0]).startswith(("s3_", "storage_"))]
        yield from (
            Finding("storage", "missing", where=f"SCENEMILL_{str(each['loc'][0]).upper()}", note=each["msg"])
            for each in told
            if each["type"] != "missing"
        )
        return
    if not config.storage_url.startswith(BUCKET):
        return
    from shared.storage.s3 import open_bucket  # noqa: PLC0415 (only a bucket needs its client)

    where = f"{config.storage_url} {config.s3_endpoint}".strip()
    try:
        safe = open_bucket(config).rejects_overwrites()
    except (ServiceError, OSError) as error:
        yield Finding("storage", "missing", where=where, note=str(error.__cause__ or error))
        return
    note = "" if safe else "ignores If-None-Match: take a server that keeps to it, or a file may change"
    yield Finding("storage", "ok" if safe else "note", where=where, note=note)
