"""Says where a line may end in scripts that put no space between words: ICU's dictionaries know the words. Pure.

Thai, Lao, Khmer and Burmese may break between words only. Chinese and Japanese may break nearly anywhere, but read better
where a word or a phrase ends.
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
PHRASES = "ja-u-lw-phrase"


def unspaced(char: str) -> bool:
    """Say whether the character is of a script that puts no space between words."""
    return char != "" and _kind(char) != ""


@lru_cache(maxsize=1024)
def ends(text: str, language: str) -> frozenset[int]:
    """Return the places in the text before which a line may end, as far as such scripts are concerned."""
    if text.isascii():
        return frozenset()
    found: set[int] = set()
    place = 0
    japanese = language.split("-", maxsplit=1)[0] == "ja" or any(_among(char, KANA) for char in text)
    for kind, characters in groupby(text, _kind):
        run = "".join(characters)
        if kind:
            found.update(place + end for end in accumulate(map(len, _words(run, kind, japanese=japanese))))
            found.add(place)
        place += len(run)
    return frozenset(found)


def _words(run: str, kind: str, *, japanese: bool) -> list[str]:
    from icu4py.breakers import LineBreaker, WordBreaker  # noqa: PLC0415  (megabytes that most texts do not need)

    # ICU counts in UTF-16, so that its strings are used and not its places.
    if kind == "south-east":
        return list(LineBreaker(run, "th"))
    return list(LineBreaker(run, PHRASES) if japanese else WordBreaker(run, "zh"))


def _kind(char: str) -> str:
    if char < SOUTH_EAST[0][0]:
        return ""
    if _among(char, SOUTH_EAST):
        return "south-east"
    return "han" if _among(char, HAN) or _among(char, KANA) else ""


def _among(char: str, ranges: tuple[tuple[str, str], ...]) -> bool:
    return any(first <= char <= last for first, last in ranges)
