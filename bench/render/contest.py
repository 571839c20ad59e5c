"""Runs the contest: every contestant makes the reel in turn, round after round, and each round's costs are kept.

What is compared ran in the same minutes on the same machine. A ratio is taken within a round; the median of the
rounds' ratios is what the page shows.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bench import measure
from bench.render import handwritten, reel

if TYPE_CHECKING:
    from pathlib import Path

    from bench.measure import Cost
    from bench.render.peers import Peer
    from bench.render.plan import Plan
    from bench.stack import Stack

OTHER_TITLE = "It settles on stone"
OTHER_NARRATION = "Where it finds hard ground it settles for good, and begins to build a cup of stone."
EDITED = 2  # the scene


@dataclass(frozen=True, slots=True)
class Contest:
    """All that a round needs."""

    plan: Plan
    folder: Path
    ffmpeg: str
    font: Path
    stack: Stack
    idle: float  # CPU seconds a second of the stack when nothing is asked of it
    peers: list[Peer]

    def round(self, *, with_peers: bool) -> dict[str, Any]:
        """Let everyone make the reel once, the slow peers only where they are asked to."""
        costs = {"ffmpeg": self._by_hand(), **self._scenemill(), "encode": self._encode()}
        for peer in self.peers if with_peers else ():
            if not peer.absent:
                print(f"  {peer.name} …", flush=True)
                costs[peer.name] = asdict(self._try(peer))
        return costs

    def _try(self, peer: Peer) -> Cost:
        try:
            return peer.run()
        except RuntimeError as error:
            peer.absent = str(error).splitlines()[-1][:200]
            return measure.Cost()

    def _by_hand(self) -> dict[str, Any]:
        print("  one ffmpeg command …", flush=True)
        target = self.folder / "handwritten.mp4"
        argv = handwritten.command(self.ffmpeg, self.plan, self.font, self.folder, target)
        return asdict(measure.run(argv, cwd=self.folder))

    def _encode(self) -> dict[str, Any]:
        print("  the encoder alone …", flush=True)
        frames = self.folder / "frames.yuv"
        try:
            video = self.folder / "handwritten.mp4"
            measure.run(handwritten.decode(self.ffmpeg, video, frames), cwd=self.folder)
            argv = handwritten.encode(self.ffmpeg, frames, self.folder / "encoded.mp4")
            return asdict(measure.run(argv, cwd=self.folder))
        finally:
            frames.unlink(missing_ok=True)

    def _scenemill(self) -> dict[str, Any]:
        """Make the reel as an account that has nothing stored, then what is asked for after an edit."""
        self.stack.new_account()
        pictures = [self.stack.upload(picture) for picture in self.plan.reel.pictures]
        music = self.stack.upload(self.plan.reel.music)
        plain = reel.script(pictures, music)
        title, narration = reel.script(pictures, music), reel.script(pictures, music)
        title["scenes"][EDITED]["text"][0]["text"] = OTHER_TITLE
        narration["scenes"][EDITED]["narration"] = OTHER_NARRATION
        tall = {**reel.OUTPUT, "aspect": "9:16"}
        return {
            "cold": self._job("cold", plain, reel.OUTPUT),
            "same": self._job("same script again", plain, reel.OUTPUT),
            "title": self._job("one title edited", title, reel.OUTPUT),
            "narration": self._job("one narration edited", narration, reel.OUTPUT),
            "aspect": self._job("other aspect", plain, tall),
        }

    def _job(self, name: str, script: dict[str, Any], output: dict[str, Any]) -> dict[str, Any]:
        print(f"  Scenemill, {name} …", flush=True)
        slots = self.stack.slots()
        groups = {f"slot {pid}": pid for pid in slots} | {"main": self.stack.renders}
        with measure.observed(
            self.stack.pid, {label: _is(pid) for label, pid in groups.items()}, self.idle
        ) as cost:
            cost.wall, task = self.stack.run(script, output)
        made = asdict(cost) | {"usage": task["result"]["usage"], "duration": task["result"]["duration"]}
        if name == "cold":
            video = next(one for one in task["result"]["artifacts"] if one["name"] == "video.mp4")
            made["bytes"] = video["bytes"]
            with (self.folder / "scenemill.mp4").open("wb") as file:
                file.write(self.stack.http.get(video["url"]).content)
        return made


def _is(pid: int) -> Any:
    return lambda process: process.pid == pid


def font(folder: Path) -> Path:
    """Return a plain name for the font of the titles: brackets in a path would be syntax in a filter graph."""
    from tasks.video.picture.text import fonts  # noqa: PLC0415  (only for the place of a file)

    target = folder / "Inter.ttf"
    if not target.exists():
        (source,) = (path for path in (fonts.fontconfig_file().parent / "fonts").glob("Inter[[]*"))
        shutil.copy(source.resolve(), target)
    return target
