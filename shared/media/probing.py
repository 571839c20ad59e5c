"""Recognises a media file by its bytes, and probes it in a child process, since probing reads hostile input.

File names and headers are never trusted. Anything that is not an accepted type (playlists, concat lists, SVG,
subtitles, text, HTML, icons …) is refused before a decoder sees it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from shared.errors import AssetUnreadable, RenderFailed, RenderStalled, RenderTimeout, UnsupportedMedia
from shared.processes import ffmpeg

if TYPE_CHECKING:
    from collections.abc import Mapping

MediaKind = Literal["image", "video", "audio"]

HEAD_BYTES = 4096  # how much of a file `sniff` needs
PROBE_LIMITS = ffmpeg.Limits(wall=20, stall=20, cpu=20, memory=2 << 30, file=1 << 20, nice=0)
# What clients read for each refusal of the child; its other output is never shown to them.
REFUSALS = {
    "too-many-pixels": "The picture has more pixels than we take.",
    "too-long": "The medium is longer than we take.",
    "too-many-streams": "The file holds more streams than we take.",
    "codec": "The file is encoded in a way that we do not take.",
    "names-others": "The file names other files. It must hold all that belongs to it.",
    "no-media": "The file holds no picture and no sound that we take.",
}


class SniffedType(NamedTuple):
    """The type of a file by its first bytes. `demuxer` is the only one that ffmpeg may use on it."""

    kind: MediaKind
    media_type: str
    demuxer: str


@dataclass(frozen=True, slots=True)
class Media:
    """The facts of a file. Width and height are as displayed: orientation, rotation and pixel shape are applied.

    `rotation` is in clockwise degrees from the stored picture to the displayed one, `duration` in seconds.
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
    rotation: int = 0
    interlaced: bool = False
    transfer: str | None = None
    pix_fmt: str | None = None
    frames: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the facts as JSON values; `from_json` reads them."""
        return asdict(self)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Media:
        """Return the facts that `to_json` wrote. Keys of a later version are ignored."""
        return cls(**{field.name: facts[field.name] for field in fields(cls) if field.name in facts})


WEBM = SniffedType("video", "video/webm", "matroska")
MKV = SniffedType("video", "video/x-matroska", "matroska")
MP4 = SniffedType("video", "video/mp4", "mov")
MOV = SniffedType("video", "video/quicktime", "mov")
M4A = SniffedType("audio", "audio/mp4", "mov")
MP3 = SniffedType("audio", "audio/mpeg", "mp3")

SIGNATURES: tuple[tuple[bytes, SniffedType], ...] = (
    (b"\xff\xd8\xff", SniffedType("image", "image/jpeg", "jpeg_pipe")),
    (b"\x89PNG\r\n\x1a\n", SniffedType("image", "image/png", "png_pipe")),
    (b"GIF87a", SniffedType("image", "image/gif", "gif")),
    (b"GIF89a", SniffedType("image", "image/gif", "gif")),
    (b"fLaC", SniffedType("audio", "audio/flac", "flac")),
    (b"OggS", SniffedType("audio", "audio/ogg", "ogg")),
    (b"ID3", MP3),
)
RIFF_FORMS = {
    b"WEBP": SniffedType("image", "image/webp", "webp_pipe"),
    b"WAVE": SniffedType("audio", "audio/wav", "wav"),
}
# Brands of `ftyp`. Formats that use the same boxes for something else (HEIC, AVIF, CR3 …) are not here.
MP4_BRANDS = frozenset(
    b"isom iso2 iso3 iso4 iso5 iso6 iso7 iso8 iso9 mp41 mp42 mp71 avc1 av01 hvc1 dash msdh cmfc cmfs M4V "
    b"M4VH M4VP f4v F4V 3gp4 3gp5 3gp6 3gp7 3g2a MSNV XAVC mmp4 NDSC NDSM NDSH".split()
)
# The first box of QuickTime files from before `ftyp`.
OLD_QUICKTIME = frozenset((b"moov", b"mdat", b"wide", b"free", b"skip"))


def sniff(head: bytes) -> SniffedType:
    """Return a file's type by its first bytes, or raise UnsupportedMedia."""
    for signature, sniffed in SIGNATURES:
        if head.startswith(signature):
            return sniffed
    found = _riff(head) or _boxes(head) or _ebml(head) or _mpeg_sound(head)
    if found is None:
        raise UnsupportedMedia(
            "The file is none of JPEG, PNG, WebP, GIF, MP4, MOV, WebM, MKV, WAV, MP3, M4A, OGG and FLAC."
        )
    return found


def probe(path: Path, *, sha256: str | None = None) -> Media:
    """Return a file's facts, or raise UnsupportedMedia (not accepted) or AssetUnreadable (broken).

    It runs a child process with limits on time and memory. Pass the hash if it is known, so that it is not computed
    again.
    """
    try:
        with path.open("rb") as file:
            sniffed = sniff(file.read(HEAD_BYTES))
    except OSError as error:
        raise AssetUnreadable("The file cannot be read.") from error
    facts = _run_probe_child(path, sniffed, sha256)
    if refusal := facts.pop("refused", None):
        raise UnsupportedMedia(REFUSALS[refusal])
    if facts.pop("unreadable", False):
        raise AssetUnreadable("The file is damaged: it cannot be read to its end.")
    media_type = (
        M4A.media_type if facts["kind"] == "audio" and sniffed.demuxer == "mov" else sniffed.media_type
    )
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
        raise AssetUnreadable("The file took too long to read.") from error
    except (RenderFailed, ValueError) as error:
        raise AssetUnreadable("The file is damaged, or asks for more memory than we give.") from error
    return facts


def _riff(head: bytes) -> SniffedType | None:
    return RIFF_FORMS.get(head[8:12]) if head[:4] in (b"RIFF", b"RF64") else None


def _boxes(head: bytes) -> SniffedType | None:
    """Recognise MP4 and QuickTime files by their first box."""
    size, name = int.from_bytes(head[:4], "big"), head[4:8]
    if name in OLD_QUICKTIME and (size >= 8 or size in (0, 1)):
        return MOV
    if name != b"ftyp" or size < 16:
        return None
    brand = head[8:12]
    if brand == b"qt  ":
        return MOV
    if brand.startswith((b"M4A", b"M4B")):
        return M4A
    return MP4 if brand.rstrip() in MP4_BRANDS else None


def _ebml(head: bytes) -> SniffedType | None:
    """Recognise Matroska and WebM by the DocType in the EBML header, which is within the first hundred bytes."""
    if not head.startswith(b"\x1aE\xdf\xa3"):
        return None
    place = head[:256].find(b"\x42\x82")
    name = head[place + 3 : place + 3 + (head[place + 2] & 0x7F)] if place > 0 else b""
    return {b"webm": WEBM, b"matroska": MKV}.get(name.rstrip(b"\0"))


def _mpeg_sound(head: bytes) -> SniffedType | None:
    """Recognise MP3 without tags by two frame headers, the second where the first says that it ends."""
    length = _mp3_frame(head)
    return MP3 if length and _mp3_frame(head[length:]) else None


def _mp3_frame(head: bytes) -> int:
    """Return the length in bytes of the MPEG layer III frame that begins here, or 0."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:  # sync word, and layer III
        return 0
    version = head[1] >> 3 & 3  # 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or bitrate in (0, 15) or rate == 3:
        return 0
    first = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    second = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    kilobits = (first if version == 3 else second)[bitrate - 1]
    hertz = (44100, 48000, 32000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    return (144 if version == 3 else 72) * kilobits * 1000 // hertz + (head[2] >> 1 & 1)
