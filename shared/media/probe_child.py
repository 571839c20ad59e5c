"""The child program that probes one media file and prints its facts as JSON. `shared.media.probing` runs it.

It reads hostile input, so it imports nothing of ours, writes nothing and connects to nothing. A refusal is printed as
{"refused": reason}, a broken file as {"unreadable": true}.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    import av.container
    import av.stream
    import av.video.frame
    from PIL import Image as Pictures

MAX_IMAGE_PIXELS = 120_000_000  # a photo of 12000x9000 has 108 million
MAX_VIDEO_PIXELS = 8192 * 4352
MAX_SECONDS = 4 * 3600.0  # seconds
MAX_STREAMS = 64
SCAN_SECONDS = 10.0  # wall time for finding a duration that the file does not state
FIRST_FRAME_PACKETS = 400
# ffmpeg's names of the codes in ISO/IEC 23091-2 (H.273); code 2 means that the file does not say.
UNSPECIFIED = "unspecified"
MATRICES = {
    0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco", 9: "bt2020nc",
    10: "bt2020c", 12: "chroma-derived-nc", 13: "chroma-derived-c", 14: "ictcp",
}  # fmt: skip
PRIMARIES = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film", 9: "bt2020",
    10: "smpte428", 11: "smpte431", 12: "smpte432", 22: "jedec-p22",
}  # fmt: skip
TRANSFERS = {
    1: "bt709", 6: "smpte170m", 8: "linear", 13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12",
    16: "smpte2084", 18: "arib-std-b67",
}  # fmt: skip
VIDEO_CODECS = frozenset((
    "h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg", "prores", "dnxhd", "h263",
    "theora", "ffv1", "rawvideo", "qtrle", "png",
))  # fmt: skip
SOUND_CODECS = frozenset((
    "aac", "mp3", "mp3float", "mp2", "mp2float", "opus", "libopus", "vorbis", "libvorbis", "flac", "alac", "ac3",
    "eac3", "amrnb", "amrwb",
))  # fmt: skip
# The path of MP4 boxes inside `moov` to the list of files that hold the samples.
REFERENCE_BOXES = (b"trak", b"mdia", b"minf", b"dinf", b"dref")
SCANNED_DEMUXERS = ("mp3", "ogg", "aac")  # their headers only estimate the duration
DECODERS = {"libdav1d": "av1", "libvpx": "vp8", "libvpx-vp9": "vp9", "libaom-av1": "av1"}


class MediaRefused(Exception):
    """The file is not accepted. The reason is a key of `shared.media.probing.REFUSALS`, `found` holds the figures in its text."""

    def __init__(self, why: str, **found: Any) -> None:
        super().__init__(why)
        self.found = found


def too_many_pixels(width: int, height: int, limit: int) -> MediaRefused:
    """Return the refusal of a picture of this size."""
    megapixels = -(-width * height // 1_000_000)
    return MediaRefused(
        "too-many-pixels", width=width, height=height, megapixels=megapixels, limit=limit // 1_000_000
    )


class Unreadable(Exception):
    """The file is broken."""


def main(request: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of the file that the request names."""
    path = Path(request["path"])
    facts = {"kind": request["kind"], "bytes": path.stat().st_size, "sha256": request["sha256"]}
    try:
        facts |= (
            _image(path, request["media_type"])
            if request["kind"] == "image"
            else _audio_or_video(path, request)
        )
    except MediaRefused as why:
        return {"refused": str(why), "found": why.found}
    except Unreadable:
        return {"unreadable": True}
    if facts["sha256"] is None:
        with path.open("rb") as file:
            facts["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
    return facts


def _image(path: Path, media_type: str) -> dict[str, Any]:
    from PIL import Image  # noqa: PLC0415  (a sound need not load it)

    Image.MAX_IMAGE_PIXELS = MAX_IMAGE_PIXELS // 2  # Pillow refuses above twice this
    warnings.simplefilter("ignore")
    name = media_type.partition("/")[2].upper()
    if name in ("HEIC", "HEIF"):
        import pillow_heif  # noqa: PLC0415  (no other picture needs its decoder)

        pillow_heif.register_heif_opener(thumbnails=False)
        name = "HEIF"
    try:
        with Image.open(path, formats=[name]) as image:
            facts = _image_facts(image)
            if name == "JPEG":
                image.draft(
                    "RGB", (image.width // 8, image.height // 8)
                )  # decodes at an eighth of the size, in a 64th of the memory
            if name == "PNG":
                image.verify()  # checks every chunk without decoding
            else:
                image.load()
    except Image.DecompressionBombError:
        raise too_many_pixels(*_stated_size(path), MAX_IMAGE_PIXELS) from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise Unreadable from error
    return facts


def _stated_size(path: Path) -> tuple[int, int]:
    """Return the size in a picture's header, without decoding the picture."""
    from PIL import Image  # noqa: PLC0415

    Image.MAX_IMAGE_PIXELS = None
    with Image.open(path) as image:
        return image.size


def _image_facts(image: Pictures.Image) -> dict[str, Any]:
    width, height = image.size
    if width * height > MAX_IMAGE_PIXELS:
        raise too_many_pixels(width, height, MAX_IMAGE_PIXELS)
    oriented = orientation(image)
    if oriented in (5, 6, 7, 8):
        width, height = height, width
    turned = {3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}.get(oriented, 0)
    return {"width": width, "height": height, "rotation": turned, "pix_fmt": image.mode}


def orientation(image: Pictures.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where the picture states no valid one."""
    try:
        # `getexif` of a PNG would decode the whole picture.
        if image.format == "PNG":
            from PIL import Image  # noqa: PLC0415  (a sound need not load it)

            exif = Image.Exif()
            exif.load(image.info.get("exif", b""))
        else:
            exif = image.getexif()
        stated = exif.get(0x0112, 1)
        return int(stated) if stated in range(1, 9) else 1
    except Exception:  # noqa: BLE001  (broken EXIF takes many forms, and a picture without it is a picture)
        return 1


def _audio_or_video(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    import av  # noqa: PLC0415  (a picture need not load it)

    if request["demuxer"] == "mov":
        _check_boxes(path)
    limits = {
        "probesize": "5000000", "analyzeduration": "5000000", "max_streams": str(MAX_STREAMS + 1),
        "protocol_whitelist": "file", "max_probe_packets": "1000",
    }  # fmt: skip
    if request["offset"]:
        limits["skip_initial_bytes"] = str(request["offset"])
    try:
        with av.open(
            f"file:{path}", format=request["demuxer"], options=limits, metadata_errors="ignore"
        ) as container:
            return _container_facts(container, request)
    except av.error.FFmpegError as error:
        if "streams" in str(error):
            raise MediaRefused("too-many-streams", limit=MAX_STREAMS) from error
        raise Unreadable from error


def _check_boxes(path: Path) -> None:
    """Refuse an MP4 with a box past the end of the file (it was cut off), or with samples in other files."""
    total = path.stat().st_size
    with path.open("rb") as file:
        for kind, start, end in _boxes(file, 0, total):
            if end > total:
                raise Unreadable
            if kind == b"moov" and _has_external_references(file, start, end):
                raise MediaRefused("names-others")


def _has_external_references(
    file: BinaryIO, start: int, end: int, way: tuple[bytes, ...] = REFERENCE_BOXES
) -> bool:
    """Return whether samples are said to be in other files. ffmpeg would not read them, and show something else."""
    return any(
        kind == b"rmra"
        or (
            _lists_external_reference(file, inner + 8, stop)
            if way == (kind,)
            else _has_external_references(file, inner, stop, way[1:])
        )
        for kind, inner, stop in _boxes(file, start, end)
        if kind in (way[0], b"rmra") and stop <= end
    )


def _lists_external_reference(file: BinaryIO, start: int, end: int) -> bool:
    """Return whether a data reference is neither flagged as "this file" nor empty."""
    for _, inner, stop in _boxes(file, start, end):
        file.seek(inner)
        entry = file.read(max(0, min(stop, end, inner + 4096) - inner))
        if len(entry) > 4 and not entry[3] & 1 and entry[4:].strip(b"\0"):
            return True
    return False


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield each box's type and the start and end of its content. A box of an impossible size ends past the file's end."""
    for _ in range(100_000):
        file.seek(start)
        head = file.read(16)
        if start + 8 > end or len(head) < 8:
            return
        size, skip = int.from_bytes(head[:4], "big"), 8
        if size == 1:
            size, skip = int.from_bytes(head[8:16], "big"), 16
        size = size or end - start
        stop = start + size if size >= skip else end + 1
        yield head[4:8], start + skip, stop
        start = stop


def _container_facts(container: av.container.InputContainer, request: dict[str, Any]) -> dict[str, Any]:
    if len(container.streams) > MAX_STREAMS:
        raise MediaRefused("too-many-streams", limit=MAX_STREAMS)
    pictures = [
        stream
        for stream in container.streams.video
        if not stream.disposition & stream.disposition.attached_pic
    ]
    sounds = list(container.streams.audio)
    facts: dict[str, Any] = {"has_audio": bool(sounds)}
    if (
        sounds and " channels" in sounds[0].codec_context.layout.name
    ):  # "9 channels": no named layout has so many
        facts["unnamed_channels"] = sounds[0].codec_context.layout.nb_channels
    if pictures and request["kind"] == "video":
        facts |= {"kind": "video"} | _video_facts(container, pictures[0])
        if sounds and not _is_decoded(sounds[0], SOUND_CODECS):  # the picture is usable without it
            facts |= {"has_audio": False, "sound_unreadable": True}
    elif sounds and not pictures:
        _check_codec(sounds[0], SOUND_CODECS)
        facts |= {"kind": "audio"}
    else:
        raise MediaRefused("no-media")
    stream: av.stream.Stream = pictures[0] if pictures else sounds[0]
    exact = request["demuxer"] in SCANNED_DEMUXERS
    facts["duration"] = duration = _duration(container, stream, exact=exact)
    if duration > MAX_SECONDS:
        raise MediaRefused("too-long", seconds=round(duration), limit=round(MAX_SECONDS))
    return facts


def _codec_name(stream: Any) -> str:
    name = stream.codec_context.codec.name if stream.codec_context is not None else ""
    return DECODERS.get(name, name)


def _check_codec(stream: Any, allowed: frozenset[str]) -> None:
    if not _is_decoded(stream, allowed):
        raise MediaRefused("codec", codec=_codec_name(stream) or "of the first stream, which is unknown,")


def _is_decoded(stream: Any, allowed: frozenset[str]) -> bool:
    name = _codec_name(stream)
    return name in allowed or name.startswith("pcm_")


def _video_facts(container: av.container.InputContainer, stream: Any) -> dict[str, Any]:
    _check_codec(stream, VIDEO_CODECS)
    context = stream.codec_context
    if context.width * context.height > MAX_VIDEO_PIXELS:
        raise too_many_pixels(context.width, context.height, MAX_VIDEO_PIXELS)
    context.thread_count = 1
    frame = _first_frame(container, stream)
    width, height = frame.width, frame.height
    if shape := stream.sample_aspect_ratio:
        width = max(1, round(width * shape)) if 0.1 < shape < 10 else width
    turned = -frame.rotation % 360  # the display matrix counts counterclockwise
    if turned in (90, 270):
        width, height = height, width
    rate = stream.average_rate or stream.guessed_rate
    return {
        "width": width,
        "height": height,
        "rotation": turned,
        "fps": float(rate) if rate and rate <= 1000 else None,
        "interlaced": frame.interlaced_frame,
        "transfer": TRANSFERS.get(int(context.color_trc)),
        "matrix": MATRICES.get(int(context.colorspace), UNSPECIFIED),
        "primaries": PRIMARIES.get(int(context.color_primaries), UNSPECIFIED),
        "codec": _codec_name(stream),
        "alpha": _has_alpha(stream, frame),
        "pix_fmt": frame.format.name,
        "frames": stream.frames or None,
    }


def _has_alpha(stream: Any, frame: av.video.frame.VideoFrame) -> bool:
    """Return whether the picture may be transparent. WebM stores opacity in a side channel and says so in a tag."""
    tagged = stream.metadata.get("alpha_mode") or stream.metadata.get("ALPHA_MODE")
    return tagged == "1" or any(part.is_alpha for part in frame.format.components)


def _first_frame(container: av.container.InputContainer, stream: Any) -> av.video.frame.VideoFrame:
    for count, packet in enumerate(container.demux(stream)):
        for frame in packet.decode():
            return cast("av.video.frame.VideoFrame", frame)
        if count > FIRST_FRAME_PACKETS:
            break
    raise Unreadable


def _duration(container: av.container.InputContainer, stream: av.stream.Stream, *, exact: bool) -> float:
    """Return the duration in seconds; where the header has none, or only an estimate, by reading all packets."""
    if not exact and container.duration:
        stated = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None
        return stated or container.duration / 1_000_000
    begun = time.monotonic()
    first, last = None, 0.0
    container.seek(0)
    for packet in container.demux(stream):
        if packet.pts is None or stream.time_base is None:
            continue
        first = packet.pts if first is None else min(first, packet.pts)
        last = max(last, float((packet.pts + (packet.duration or 0)) * stream.time_base))
        if time.monotonic() - begun > SCAN_SECONDS:
            raise MediaRefused("too-long", seconds=f"more than {round(last)}", limit=round(MAX_SECONDS))
    if first is None or stream.time_base is None:
        raise Unreadable
    return last - float(max(first, 0) * stream.time_base)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.loads(sys.argv[1]))))
