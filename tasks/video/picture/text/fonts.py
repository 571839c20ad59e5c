"""Chooses the font of each character, measures text, and writes the fontconfig file by which libass finds the fonts.

Only fonts from pinned packages are used, so that every worker draws the same glyphs on any machine.
"""

from __future__ import annotations

import os
import tempfile
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import ImageFont

from tasks.video.picture.text import opentype

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.ImageFont import Axis

PACKAGES = {
    "justmytype_western_core": (
        "Inter[", "Inter-Italic[", "SourceSerif4[", "SourceSerif4-Italic[", "JetBrainsMono[",
        "NotoSans[", "NotoSerif[", "NotoSerif-Italic[", "NotoSansSymbols2-",
    ),
    "justmytype_intl_cjk": ("NotoSans",),
    "justmytype_intl_rtl": ("NotoSans",),
    "justmytype_intl_south_asia": ("NotoSans",),
    "justmytype_intl_sea": ("NotoSans",),
    "justmytype_intl_africa": ("NotoSans",),
    "font_fjallaone": ("FjallaOne-",),
    "font_fredoka_one": ("FredokaOne-",),
    "manimgx_fonts": (
        "NotoEmoji[", "NotoSansArmenian[", "NotoSansGeorgian[", "NotoSansGujarati[", "NotoSansGurmukhi[",
        "NotoSansKannada[", "NotoSansMalayalam[", "NotoSansOriya[", "NotoSansSinhala[", "NotoSansSymbols[",
    ),
}  # fmt: skip

# The first character of each block and its script; "" is drawn by the theme's own font. A block ends where the next begins.
BLOCKS: tuple[tuple[int, str], ...] = (
    (0x0000, ""), (0x0530, "Armenian"), (0x0590, "Hebrew"), (0x0600, "Arabic"), (0x0700, ""),
    (0x0750, "Arabic"), (0x0780, ""), (0x08A0, "Arabic"), (0x0900, "Devanagari"), (0x0980, "Bengali"),
    (0x0A00, "Gurmukhi"), (0x0A80, "Gujarati"), (0x0B00, "Oriya"), (0x0B80, "Tamil"), (0x0C00, "Telugu"),
    (0x0C80, "Kannada"), (0x0D00, "Malayalam"), (0x0D80, "Sinhala"), (0x0E00, "Thai"), (0x0E80, "Lao"),
    (0x0F00, ""), (0x1000, "Myanmar"), (0x10A0, "Georgian"), (0x1100, "KR"), (0x1200, "Ethiopic"),
    (0x13A0, ""), (0x1780, "Khmer"), (0x1800, ""), (0x2600, "Emoji"), (0x2700, "Emoji"), (0x27C0, ""),
    (0x2E80, "Han"), (0x3040, "JP"), (0x3100, "Han"), (0x3130, "KR"), (0x3190, "Han"), (0x31F0, "JP"),
    (0x3200, "Han"), (0xA000, ""), (0xA8E0, "Devanagari"), (0xA900, ""), (0xA960, "KR"), (0xA980, ""),
    (0xAC00, "KR"), (0xD7B0, ""), (0xF900, "Han"), (0xFB00, ""), (0xFB1D, "Hebrew"), (0xFB50, "Arabic"),
    (0xFE00, ""), (0xFE30, "Han"), (0xFE50, ""), (0xFE70, "Arabic"), (0xFEFF, ""), (0xFF00, "Han"),
    (0xFFF0, ""), (0x1F000, "Emoji"), (0x1FB00, ""), (0x20000, "Han"), (0x32000, ""),
)  # fmt: skip
BLOCK_STARTS = [start for start, _ in BLOCKS]
# Drawn in the font of the character before them: joiners, variation selectors, skin tones, combining marks, keycaps.
JOINERS = frozenset(
    (0x200C, 0x200D, 0x20E3, *range(0x0300, 0x0370), *range(0xFE00, 0xFE10), *range(0x1F3FB, 0x1F400))
)
DINGBATS = frozenset(
    (*range(0x2701, 0x2705), *range(0x2706, 0x270A), *range(0x2713, 0x2716), *range(0x2717, 0x2728))
)
EMOJI, SYMBOLS = "Noto Emoji", "Noto Sans Symbols 2"
PICTURE_FAMILIES = (EMOJI, SYMBOLS)
KEYCAP_BASES = "0123456789#*"
SYMBOL_RANGE = (
    0x2000,
    0x2E00,
)  # punctuation, arrows, mathematical and pictorial symbols
HAN_FONTS = {"ja": "JP", "ko": "KR", "zh-hant": "TC", "zh-tw": "TC", "zh-hk": "TC", "zh-mo": "TC"}
FAMILY_NAMES = {
    "SourceSerif4": "Source Serif 4",
    "JetBrainsMono": "JetBrains Mono",
    "FjallaOne": "Fjalla One",
    "FredokaOne": "Fredoka One",
}
MEASURING_EM = 256  # pixels; widths are measured at this size and scaled


@dataclass(frozen=True, slots=True)
class Run:
    """A part of a text in one font."""

    text: str
    family: str


@cache
def font_versions() -> str:
    """Return the versions of all font packages; they are part of a segment's cache key."""
    return " ".join(f"{name}-{metadata.version(name.replace('_', '-'))}" for name in sorted(PACKAGES))


def split_runs(text: str, family: str, language: str) -> list[Run]:
    """Split a text by font; a character without a script takes the font of the one before it."""
    found_runs: list[Run] = []
    for index, char in enumerate(text):
        before = found_runs[-1].family if found_runs else family
        if wants_emoji(text, index):
            chosen = EMOJI
        elif before in PICTURE_FAMILIES and ord(char) not in JOINERS:
            chosen = (
                _choose_family(char, family, language, text) or family
            )  # an emoji font's space is as wide as an emoji
        else:
            chosen = _choose_family(char, family, language, text) or before
        if found_runs and before == chosen:
            found_runs[-1] = Run(found_runs[-1].text + char, chosen)
        else:
            found_runs.append(Run(char, chosen))
    return found_runs


def wants_emoji(text: str, index: int) -> bool:
    """Return whether the character at `index` is followed by a keycap or an emoji variation selector."""
    following = text[index + 1 : index + 3].removeprefix("\ufe0f")
    if text[index] in KEYCAP_BASES:
        return following.startswith("\u20e3")
    return text[index + 1 : index + 2] == "\ufe0f" and opentype.covers(font_file(EMOJI), ord(text[index]))


def _choose_family(char: str, family: str, language: str, text: str) -> str | None:
    code = ord(char)
    if code in JOINERS:
        return None
    script = BLOCKS[bisect_right(BLOCK_STARTS, code) - 1][1]
    if script == "":
        # Spaces and punctuation keep the font of the script around them; letters and digits take the theme's.
        return family if char.isalnum() else _choose_symbol_family(code, family)
    if script == "Emoji":
        return SYMBOLS if code in DINGBATS else EMOJI
    if script == "Han":
        return f"Noto Sans {_choose_han(language, text)}"
    return f"Noto Sans {script}"


def _choose_symbol_family(code: int, family: str) -> str | None:
    """Return the font of a symbol that the theme's font lacks, such as a star, or None."""
    if not SYMBOL_RANGE[0] <= code < SYMBOL_RANGE[1] or opentype.covers(font_file(family), code):
        return None
    return next((name for name in PICTURE_FAMILIES if opentype.covers(font_file(name), code)), None)


def _choose_han(language: str, text: str) -> str:
    """Return the regional variant of Chinese characters for the text: Japanese if it has kana, else by language."""
    tag = language.lower()
    if any("぀" <= char <= "ヿ" for char in text):
        return "JP"
    return (
        HAN_FONTS.get(tag)
        or HAN_FONTS.get("-".join(tag.split("-")[:2]))
        or HAN_FONTS.get(tag.split("-")[0], "SC")
    )


@lru_cache(maxsize=8192)  # fitting measures the same words at many sizes and widths
def text_width(text: str, family: str, weight: int, language: str, fallback_weight: int) -> float:
    """Return a text's width in ems; `fallback_weight` is the weight of text in other families."""
    widths = [
        _face(run.family, weight if run.family == family else fallback_weight).getlength(
            _without_missing_marks(run)
        )
        for run in split_runs(text, family, language)
    ]
    return sum(widths) / MEASURING_EM


def _without_missing_marks(run: Run) -> str:
    """Return the run without combining marks that its font lacks: Pillow would measure each as a box."""
    if run.text.isascii():
        return run.text
    return "".join(
        char
        for char in run.text
        if unicodedata.category(char) not in ("Mn", "Me") or opentype.covers(font_file(run.family), ord(char))
    )


def line_ratio(family: str) -> float:
    """Return libass's font size for an em of one pixel: libass scales ascent plus descent to the font size."""
    return opentype.line_ratio(font_file(family))


@cache
def _face(family: str, weight: int) -> ImageFont.FreeTypeFont:
    face = ImageFont.truetype(str(_font_files()[family]), MEASURING_EM)
    try:
        axes = face.get_variation_axes()
    except OSError:  # the font is not variable
        return face
    face.set_variation_by_axes([_axis_value(axis, weight) for axis in axes])
    return face


def _axis_value(axis: Axis, weight: int) -> float:
    """Return the axis's value: the weight, clamped to the font's range; other axes keep their default."""
    if b"weight" not in (axis["name"] or b"").lower():
        return float(axis["default"] or 0)
    return float(min(max(weight, axis["minimum"] or 0), axis["maximum"] or 1000))


def font_file(family: str) -> Path:
    """Return the path of a family's upright file."""
    return _font_files()[family]


@cache
def _font_files() -> dict[str, Path]:
    """Return the upright files by family."""
    return {_family_name(path): path for path in _listed_files() if "-Italic" not in path.name}


def _family_name(path: Path) -> str:
    """Return the family of a font file: `NotoSansJP[wght].ttf` is Noto Sans JP."""
    stem = path.name.split("[")[0].split("-")[0].removesuffix(".ttf")
    for prefix, display_name in (("NotoSans", "Noto Sans "), ("NotoSerif", "Noto Serif "), ("Noto", "Noto ")):
        if stem.startswith(prefix):
            rest = stem.removeprefix(prefix)
            return (display_name + rest.replace("Symbols2", "Symbols 2")).strip()
    return FAMILY_NAMES.get(stem, stem)


def _listed_files() -> Iterator[Path]:
    for package, prefixes in PACKAGES.items():
        folder = Path(str(resources.files(package)))
        for path in sorted(folder.rglob("*.ttf")):
            if path.name.startswith(prefixes):
                yield path


@cache
def fontconfig_file() -> Path:
    """Return the path of the fontconfig file, written once for each machine and user.

    Its folder also holds links to the fonts, and fontconfig's cache, which saves each ffmpeg a fifth of a second.
    """
    mark = f"{font_versions()} {resources.files('manimgx_fonts')}"
    folder = (
        Path(tempfile.gettempdir())
        / f"scenemill-fonts-{os.getuid()}-{sha256(mark.encode()).hexdigest()[:12]}"
    )
    target = folder / "fonts.conf"
    if not _make_private(folder):
        # Somebody else owns the predictable name, and could swap the fonts.
        folder = Path(tempfile.mkdtemp(prefix="scenemill-fonts-"))
        target = folder / "fonts.conf"
    if not target.exists():
        _write_config(folder, target)
    return target


def _make_private(folder: Path) -> bool:
    """Create the folder if it is missing; return whether only this user can write to it. Others can create it in /tmp."""
    folder.mkdir(mode=0o700, exist_ok=True)
    facts = folder.lstat()
    return (
        folder.is_dir()
        and not folder.is_symlink()
        and facts.st_uid == os.getuid()
        and facts.st_mode & 0o077 == 0
    )


def _write_config(folder: Path, target: Path) -> None:
    links = folder / "fonts"
    links.mkdir(exist_ok=True)
    for path in _listed_files():
        link = links / path.name
        if not link.is_symlink():
            link.symlink_to(path)
    text = (
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">\n'
        f"<fontconfig><dir>{links}</dir><cachedir>{folder / 'cache'}</cachedir></fontconfig>\n"
    )
    part = folder / f"fonts.conf.{os.getpid()}"
    part.write_text(text, encoding="utf-8")
    part.replace(target)  # at once: another process may be reading the file
