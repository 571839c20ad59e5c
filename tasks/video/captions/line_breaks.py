"""Finds line breaks in scripts that put no space between words, by ICU's dictionaries. Pure.

Thai, Lao, Khmer and Burmese break only between words. Chinese and Japanese may break nearly anywhere, but read better
if a word or a phrase ends there.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate, groupby

SOUTH_EAST = (("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff"), ("\ua9e0", "\uaa7f"))
KANA = (("\u3040", "\u30ff"), ("\u31f0", "\u31ff"), ("\uff66", "\uff9f"))
HAN = (
    ("\u3005", "\u3007"),
    ("\u3400", "\u4dbf"),
    ("\u4e00", "\u9fff"),
    ("\uf900", "\ufaff"),
    ("\U00020000", "\U0003ffff"),
)
PHRASE_LOCALE = "ja-u-lw-phrase"


def is_unspaced(char: str) -> bool:
    """Return whether the character belongs to a script that puts no space between words."""
    return char != "" and _script_kind(char) != ""


@lru_cache(maxsize=1024)
def find_breaks(text: str, language: str) -> frozenset[int]:
    """Return the offsets in the text at which a line may break within or beside such a script."""
    if text.isascii():
        return frozenset()
    breaks: set[int] = set()
    offset = 0
    japanese = language.split("-", maxsplit=1)[0] == "ja" or any(_is_in(char, KANA) for char in text)
    for kind, characters in groupby(text, _script_kind):
        run = "".join(characters)
        if kind:
            breaks.update(
                offset + end for end in accumulate(map(len, _split_words(run, kind, japanese=japanese)))
            )
            breaks.add(offset)
        offset += len(run)
    return frozenset(breaks)


def _split_words(run: str, kind: str, *, japanese: bool) -> list[str]:
    from icu4py.breakers import LineBreaker, WordBreaker  # noqa: PLC0415  (megabytes that most texts do not need)

    # ICU counts offsets in UTF-16, which differ beyond the BMP: use its strings instead.
    if kind == "south-east":
        return list(LineBreaker(run, "th"))
    return list(LineBreaker(run, PHRASE_LOCALE) if japanese else WordBreaker(run, "zh"))


def _script_kind(char: str) -> str:
    if char < SOUTH_EAST[0][0]:
        return ""
    if _is_in(char, SOUTH_EAST):
        return "south-east"
    return "han" if _is_in(char, HAN) or _is_in(char, KANA) else ""


def _is_in(char: str, ranges: tuple[tuple[str, str], ...]) -> bool:
    return any(first <= char <= last for first, last in ranges)
