"""Other programs that make videos, each installed into a folder of the bench's own and given the same reel.

A peer that cannot be had here is named with the reason. What is not asked of them: peers neither speak nor make
subtitles or posters, and MoviePy and Remotion do not normalise loudness.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import measure
from bench.render import reel

if TYPE_CHECKING:
    from bench.measure import Cost
    from bench.render.plan import Plan

SCRIPTS = Path(__file__).with_name("peers")
MOVIEPY = "2.2.1"
EDITLY = "0.14.2"
FFPROBE = "3.1.0"
REMOTION = "4.0.529"
REACT = "18.3.1"
PATIENCE = 900  # seconds for an installation
VIRTUAL_SCREEN = ("xvfb-run", "-a", "-s", "-ac -screen 0 1280x1024x24")


class Absent(Exception):
    """A peer cannot be had on this machine; its words say why."""


@dataclass(slots=True)
class Peer:
    """A program ready to make the reel."""

    name: str
    version: str
    argv: list[str]
    folder: Path
    env: dict[str, str] | None = None
    absent: str = ""
    notes: dict[str, Any] = field(default_factory=dict)

    def run(self) -> Cost:
        """Make the reel once."""
        return measure.run(self.argv, cwd=self.folder, env=self.env)


def described(plan: Plan, font: Path, target: Path, ffmpeg: str) -> dict[str, Any]:
    """Return the reel as the peers' scripts read it."""
    lengths = [*plan.spoken_lengths]
    scenes = [
        {
            "picture": str(picture), "picture_name": picture.name, "title": title, "frames": frames, "start": start,
            "speech": str(speech), "speech_name": speech.name, "spoken_at": at, "spoken": spoken,
        }
        for picture, title, frames, start, speech, at, spoken in zip(
            plan.reel.pictures, plan.titles, plan.frames, plan.starts, plan.speech, plan.spoken_at, lengths, strict=True
        )
    ]  # fmt: skip
    return {
        "size": reel.SIZE, "fps": reel.FPS, "zoom": reel.ZOOM, "crossfade": reel.CROSSFADE, "scenes": scenes,
        "music": str(plan.reel.music), "seconds": plan.seconds, "total": plan.total, "font": str(font),
        "target": str(target), "ffmpeg": ffmpeg,
    }  # fmt: skip


def prepare(cache: Path, plan: Plan, font: Path, ffmpeg: str) -> list[Peer]:
    """Install each peer where it is not yet; return all of them, those that cannot be had with the reason."""
    peers = []
    for name, version, install in (
        ("MoviePy", MOVIEPY, _moviepy), ("editly", EDITLY, _editly), ("Remotion", REMOTION, _remotion),
    ):  # fmt: skip
        folder = (cache / name.lower()).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        job = described(plan, font, folder / "reel.mp4", ffmpeg)
        try:
            argv = install(folder, job)
            peers.append(Peer(name, version, argv, folder))
        except Absent as reason:
            peers.append(Peer(name, version, [], folder, absent=str(reason)))
    return peers


def _moviepy(folder: Path, job: dict[str, Any]) -> list[str]:
    python = folder / "venv" / "bin" / "python"
    if not python.exists():
        _do([sys.executable, "-m", "venv", str(folder / "venv")], folder)
    if not list(folder.glob(f"venv/lib/python*/site-packages/moviepy-{MOVIEPY}.dist-info")):
        _do([str(python), "-m", "pip", "install", "--quiet", f"moviepy=={MOVIEPY}"], folder)
    return [str(python), str(SCRIPTS / "moviepy_reel.py"), _job(folder, job)]


def _editly(folder: Path, job: dict[str, Any]) -> list[str]:
    _npm(folder, {"editly": EDITLY, "ffprobe-static": FFPROBE})
    job["ffprobe"] = str(folder / "node_modules/ffprobe-static/bin/linux/x64/ffprobe")
    script = shutil.copy(SCRIPTS / "editly_reel.mjs", folder)
    shown = [] if os.environ.get("DISPLAY") else [*VIRTUAL_SCREEN]
    if shown and shutil.which(shown[0]) is None:
        raise Absent("its transitions are drawn by OpenGL and need a display (Debian: apt-get install xvfb)")
    return [*shown, "node", str(script), _job(folder, job)]


def _remotion(folder: Path, job: dict[str, Any]) -> list[str]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise Absent("no Chromium on this machine (Debian: apt-get install chromium)")
    names = ("remotion", "@remotion/renderer", "@remotion/bundler")
    _npm(folder, {**dict.fromkeys(names, REMOTION), "react": REACT, "react-dom": REACT})
    public = folder / "public"
    public.mkdir(exist_ok=True)
    for scene in job["scenes"]:
        shutil.copy(scene["picture"], public)
        shutil.copy(scene["speech"], public)
    shutil.copy(job["music"], public / "music.wav")
    for name in ("remotion_reel.mjs", "remotion_entry.jsx"):
        shutil.copy(SCRIPTS / name, folder)
    job |= {"entry": str(folder / "remotion_entry.jsx"), "public": str(public), "bundle": str(folder / "bundle"),
            "chromium": chromium}  # fmt: skip
    file = _job(folder, job)
    _do(["node", "remotion_reel.mjs", "bundle", file], folder)
    return ["node", str(folder / "remotion_reel.mjs"), "render", file]


def _npm(folder: Path, packages: dict[str, str]) -> None:
    """Install packages with npm unless these versions are there."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Absent("no Node.js with npm on this machine")
    manifest = json.dumps({"private": True, "type": "module", "dependencies": packages}, indent=2)
    done = folder / "installed.json"
    if done.exists() and done.read_text() == manifest:
        return
    (folder / "package.json").write_text(manifest)
    # What has no built binary is compiled against the headers that came with Node.js, so that none are fetched.
    headers = Path(shutil.which("node") or "").resolve().parents[1]
    own = [f"--nodedir={headers}"] if (headers / "include/node/node.h").exists() else []
    _do(["npm", "install", "--no-audit", "--no-fund", "--loglevel", "error", *own], folder)
    done.write_text(manifest)


def _do(argv: list[str], folder: Path) -> None:
    """Run a step of an installation, or raise Absent with its last words."""
    try:
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Absent(f"`{' '.join(argv[:3])}` did not end well: {type(error).__name__}") from error
    if done.returncode:
        raise Absent(_reason(Path(argv[0]).name, done.stderr + done.stdout))


def _reason(program: str, said: str) -> str:
    """Return why an installation failed, without the places of this machine."""
    native = re.search(r"npm error path \S*node_modules/(\S+)", said)
    if native:
        return f"npm found no built binary of its native part `{native[1]}` for this machine, and could not build it"
    lines = [line.strip() for line in said.splitlines() if "error" in line.lower()]
    return f"{program} failed: {re.sub(r'/[^ ]*', '…', lines[-1])[:160] if lines else 'it said nothing'}"


def _job(folder: Path, job: dict[str, Any]) -> str:
    path = folder / "job.json"
    path.write_text(json.dumps(job))
    return str(path)
