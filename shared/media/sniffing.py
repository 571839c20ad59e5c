"""Recognises a media file's type by its first bytes, without decoding any of it. Pure.

File names and headers are never trusted. Anything that is not an accepted type (playlists, concat lists, SVG,
subtitles, text, HTML, icons …) is refused before a decoder sees it.
"""

from __future__ import annotations

from typing import IO, Literal, NamedTuple

from shared.errors import UnsupportedMedia

MediaKind = Literal["image", "video", "audio"]

HEAD_BYTES = 4096  # how much of a file `sniff` needs
JUNK_FRAMES = 3  # consecutive frames that random bytes do not form by chance


class SniffedType(NamedTuple):
    """The type of a file by its first bytes. `demuxer` is the only one that ffmpeg may use on it."""

    kind: MediaKind
    media_type: str
    demuxer: str
    offset: int = 0  # bytes before it that are not part of it: a tag of another format, or junk

    def input_options(self) -> list[str]:
        """Return ffmpeg's input arguments, which allow this demuxer alone and skip the bytes before it."""
        skip = ["-skip_initial_bytes", str(self.offset)] if self.offset else []
        return ["-f", self.demuxer, *skip]


WEBM = SniffedType("video", "video/webm", "matroska")
MKV = SniffedType("video", "video/x-matroska", "matroska")
MP4 = SniffedType("video", "video/mp4", "mov")
MOV = SniffedType("video", "video/quicktime", "mov")
M4A = SniffedType("audio", "audio/mp4", "mov")
MP3 = SniffedType("audio", "audio/mpeg", "mp3")
AAC = SniffedType("audio", "audio/aac", "aac")
FLAC = SniffedType("audio", "audio/flac", "flac")
AVIF = SniffedType("image", "image/avif", "mov")
HEIC = SniffedType("image", "image/heic", "mov")
SOUND_TYPES = {"mov": "audio/mp4", "video/webm": "audio/webm", "video/x-matroska": "audio/x-matroska"}

SIGNATURES: tuple[tuple[bytes, SniffedType], ...] = (
    (b"\xff\xd8\xff", SniffedType("image", "image/jpeg", "jpeg_pipe")),
    (b"\x89PNG\r\n\x1a\n", SniffedType("image", "image/png", "png_pipe")),
    (b"GIF87a", SniffedType("image", "image/gif", "gif")),
    (b"GIF89a", SniffedType("image", "image/gif", "gif")),
    (b"fLaC", FLAC),
    (b"caff", SniffedType("audio", "audio/x-caf", "caf")),
    (b"OggS", SniffedType("audio", "audio/ogg", "ogg")),
    (b"ID3", MP3),
)
RIFF_FORMS = {
    b"WEBP": SniffedType("image", "image/webp", "webp_pipe"),
    b"WAVE": SniffedType("audio", "audio/wav", "wav"),
}
AIFF = SniffedType("audio", "audio/aiff", "aiff")
AVIF_BRANDS = frozenset((b"avif", b"avis"))
HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"))
# Brands of `ftyp`. Formats that use the same boxes for something else (CR3 …) are not here.
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
    found = _riff(head) or _boxes(head) or _ebml(head) or _mpeg_sound(head) or _behind_junk(head)
    if found is None:
        raise UnsupportedMedia(
            "The file's content is none of the accepted types: JPEG, PNG, WebP, GIF, AVIF, HEIC; MP4, MOV, WebM, MKV; "
            "WAV, MP3, M4A, AAC, OGG, FLAC, AIFF, CAF. Convert it, e.g. `ffmpeg -i input output.mp4` (or .png, .wav)."
        )
    return found


def sniff_file(file: IO[bytes]) -> SniffedType:
    """Return the type of an open file, even behind an ID3 tag, which may be longer than what `sniff` sees."""
    head = file.read(HEAD_BYTES)
    sniffed = sniff(head)
    if not head.startswith(b"ID3") or len(head) < 10:
        return sniffed
    # The size of the tag has seven bits per byte (ID3v2.4, 3.1); flag 0x10 means a footer of ten bytes.
    size = sum((part & 0x7F) << shift for part, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    offset = 10 + size + (10 if head[5] & 0x10 else 0)
    file.seek(offset)
    behind = file.read(HEAD_BYTES)
    if behind.startswith(b"fLaC"):
        return FLAC._replace(offset=offset)
    if _adts_frame(behind):
        return AAC  # its demuxer skips the tag
    return sniffed


def _riff(head: bytes) -> SniffedType | None:
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return AIFF
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
    return _picture_boxes(head, size) or (MP4 if brand.rstrip() in MP4_BRANDS else None)


def _picture_boxes(head: bytes, size: int) -> SniffedType | None:
    """Recognise AVIF and HEIC: their first brand may be a general one (ISO/IEC 23008-12), a compatible brand tells which."""
    brand = head[8:12]
    brands = {head[at : at + 4] for at in (8, *range(16, min(size, len(head)) - 3, 4))}
    if brand in AVIF_BRANDS or (brand in (b"mif1", b"msf1") and brands & AVIF_BRANDS):
        return AVIF
    if brand in HEIC_BRANDS or (brand in (b"mif1", b"msf1") and brands & HEIC_BRANDS):
        return HEIC
    return None


def _ebml(head: bytes) -> SniffedType | None:
    """Recognise Matroska and WebM by the DocType in the EBML header, which is within the first hundred bytes."""
    if not head.startswith(b"\x1aE\xdf\xa3"):
        return None
    place = head[:256].find(b"\x42\x82")
    name = head[place + 3 : place + 3 + (head[place + 2] & 0x7F)] if place > 0 else b""
    return {b"webm": WEBM, b"matroska": MKV}.get(name.rstrip(b"\0"))


def _mpeg_sound(head: bytes) -> SniffedType | None:
    """Recognise MP3 and ADTS without tags by two frame headers, the second where the first says that it ends."""
    for frame_length, sniffed in ((_mp3_frame, MP3), (_adts_frame, AAC)):
        length = frame_length(head)
        if length and frame_length(head[length:]):
            return sniffed
    return None


def _behind_junk(head: bytes) -> SniffedType | None:
    """Recognise MP3 behind a few bytes of padding. Text does not count as padding: it may be a playlist or a page."""
    at = head.find(b"\xff")
    while 0 < at < len(head) - 4 and not head[:at].strip(b"\0").isascii():
        if _has_mp3_frames(head[at:], JUNK_FRAMES):
            return MP3._replace(offset=at)
        at = head.find(b"\xff", at + 1)
    if at > 0 and not head[:at].strip(b"\0") and _has_mp3_frames(head[at:], JUNK_FRAMES):
        return MP3._replace(offset=at)
    return None


def _has_mp3_frames(head: bytes, count: int) -> bool:
    """Return whether so many frames follow each other here."""
    for _ in range(count):
        length = _mp3_frame(head)
        if not length:
            return False
        head = head[length:]
    return True


def _adts_frame(head: bytes) -> int:
    """Return the length in bytes of the ADTS frame (ISO/IEC 13818-7, 6.2) that begins here, or 0."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return 0
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length > 7 else 0


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
