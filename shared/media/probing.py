"""Probes a media file in a child process with limits, since probing reads hostile input.

File names and headers are never trusted. Anything that is not an accepted type (playlists, concat lists, SVG,
subtitles, text, HTML, icons …) is refused before a decoder sees it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.errors import AssetUnreadable, RenderFailed, RenderStalled, RenderTimeout, UnsupportedMedia
from shared.media.sniffing import SOUND_TYPES, MediaKind, SniffedType, sniff_file
from shared.processes import ffmpeg

if TYPE_CHECKING:
    from collections.abc import Mapping

PROBE_LIMITS = ffmpeg.Limits(wall=20, stall=20, cpu=20, memory=2 << 30, file=1 << 20, nice=0)
# What clients read for each refusal of the child; its other output is never shown to them.
REFUSALS = {
    "too-many-pixels": "Too many pixels: {width}×{height} = {megapixels} MP, at most {limit} MP. Make it smaller, "  # noqa: RUF001
    "e.g. `ffmpeg -i input -vf scale=3840:-2 output`.",
    "too-long": "Too long: {seconds} s, at most {limit} s. Cut it, e.g. `ffmpeg -i input -t {limit} -c copy output`.",
    "too-many-streams": "The file has more than {limit} streams. Remove the extra ones, "
    "e.g. `ffmpeg -i input -map 0:v:0 -map 0:a:0? -c copy output`.",
    "codec": "The codec {codec} is not accepted. Encode it again, e.g. `ffmpeg -i input -c:v libx264 -c:a aac output.mp4`.",
    "names-others": "The file refers to other files. Make it self-contained, e.g. `ffmpeg -i input -c copy output.mov`.",
    "no-media": "The file holds no picture and no sound that could be read.",
}


@dataclass(frozen=True, slots=True)
class Media:
    """The facts of a file. Width and height are as displayed: orientation, rotation and pixel shape are applied.

    `rotation` is in clockwise degrees from the stored picture to the displayed one, `duration` in seconds. `matrix` and
    `primaries` are None in facts stored by older releases, and "unspecified" where the file does not say.
    """

    kind: MediaKind
    media_type: str
    bytes: int
    sha256: str
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    fps: float | None = None
    has_audio: bool = False
    unnamed_channels: int = (
        0  # how many channels there are, where no layout says which is left and which is right
    )
    sound_unreadable: bool = False  # there is a sound, of a codec that is not decoded: the clip is silent
    rotation: int = 0
    interlaced: bool = False
    transfer: str | None = None
    matrix: str | None = None
    primaries: str | None = None
    alpha: bool = False
    codec: str | None = None
    pix_fmt: str | None = None
    frames: int | None = None

    @property
    def downmix_filters(self) -> list[str]:
        """Return ffmpeg filters that give unnamed channels names: even ones become left, odd ones right."""
        count = self.unnamed_channels
        sides = (range(0, count, 2), range(1, count, 2))
        if not count:
            return []
        mixed = ["+".join(f"{1 / len(side):.6f}*c{at}" for at in side) for side in sides if side]
        return [
            f"pan={'stereo' if len(mixed) == 2 else 'mono'}|"
            + "|".join(f"c{at}={one}" for at, one in enumerate(mixed))
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the facts as JSON values; `from_json` reads them."""
        return asdict(self)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Media:
        """Return the facts that `to_json` wrote. Keys of a later version are ignored."""
        return cls(**{field.name: facts[field.name] for field in fields(cls) if field.name in facts})


def probe(path: Path, *, sha256: str | None = None) -> Media:
    """Return a file's facts, or raise UnsupportedMedia (not accepted) or AssetUnreadable (broken).

    It runs a child process with limits on time and memory. Pass the hash if it is known, so that it is not computed
    again.
    """
    try:
        with path.open("rb") as file:
            sniffed = sniff_file(file)
    except OSError as error:
        raise AssetUnreadable("The file cannot be read.") from error
    facts = _run_probe_child(path, sniffed, sha256)
    if refusal := facts.pop("refused", None):
        found = facts.get("found", {})
        raise UnsupportedMedia(REFUSALS[refusal].format_map(found))
    if facts.pop("unreadable", False):
        raise AssetUnreadable("The file is damaged: it cannot be read to its end.")
    media_type = sniffed.media_type
    if facts["kind"] == "audio" and sniffed.kind == "video":  # a video container with only sound
        media_type = SOUND_TYPES.get(sniffed.demuxer) or SOUND_TYPES[media_type]
    return Media.from_json({"media_type": media_type, **facts})


def _run_probe_child(path: Path, sniffed: SniffedType, sha256: str | None) -> dict[str, Any]:
    """Run `shared/media/probe_child.py` as a program: without our imports it starts fast."""
    request = json.dumps({"path": str(path.resolve()), "sha256": sha256, **sniffed._asdict()})
    child = Path(__file__).with_name("probe_child.py")
    try:
        done = ffmpeg.run(
            [sys.executable, "-I", str(child), request], cwd=path.resolve().parent, limits=PROBE_LIMITS
        )
        facts: dict[str, Any] = json.loads(done.stdout)
    except (RenderStalled, RenderTimeout) as error:
        raise AssetUnreadable(f"The file takes more than {PROBE_LIMITS.wall:g} s to read.") from error
    except (RenderFailed, ValueError) as error:
        raise AssetUnreadable("The file is damaged, or needs more than 2 GiB of memory to read.") from error
    return facts
