"""Weighs the words of a text: which terms carry it, how heavy a sentence is, and which phrases can label it. Pure.

A term is a word of four letters or more that is no function word, or two adjacent characters of Chinese, Japanese or
Korean. Its weight is log(1 + occurrences). A sentence weighs the sum of its terms' weights over (8 + their number), so
that rich sentences beat both long ones and those of one word.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORD = re.compile(r"[^\W\d_][\w\u2019'-]*")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{2,}")
_NUMBER = re.compile(
    r"(?P<sign>[$\u20ac\u00a3]\s?)?(?P<digits>\d[\d.,]*)(?P<unit>\s?%|(?:\s(?:square|cubic|million|billion|trillion))*\s[^\W\d_]{4,})?"
)
LEAST = 4
_OFTEN = 0.4  # a word in more than this share of the sentences is a function word
_MANY = 12
# Function words of four letters or more of the most common languages in Latin script.
_FUNCTION_WORDS = frozenset(
    """
    about above after again against almost along already also although always among another around because been
    before began begin begins being below between both came cannot come could does doing done down during each either
    else even ever every find finds from further gave give gives goes going gone have having hence here hers herself
    himself however into itself just keep kept know known last later least less like made make makes making many might
    mine more most much must myself near need needs never next none nothing often once only onto other others ought
    ours over part perhaps quite rather really same seem seems several shall should since some such take takes than
    that their theirs them themselves then there therefore these they thing things this those though through thus
    together told took toward towards under until upon used very want well went were what whatever when where whether
    which while whom whose will with within without would your yours yourself
    aber alle allem allen aller alles andere anderen auch auf\u00dfer beim bereits dabei dadurch daf\u00fcr damit dann
    dass dein denn dessen diese diesem diesen dieser dieses doch durch eine einem einen einer eines einige etwa etwas
    euch f\u00fcr ganz gegen haben hatte hatten hier ihre ihrem ihren ihrer immer jede jedem jeden jeder jedoch jetzt kann
    kein keine keinen k\u00f6nnen mehr mein mich mich nach nicht nichts noch nur oder ohne schon sehr sein seine seinem
    seinen seiner seit sich sind sondern soll sollte \u00fcber unter viel viele vom vor war waren warum weil welche wenn
    werden wieder wird wurde wurden zwischen
    alors apr\u00e8s aussi autre autres avant avec avoir celle celui cette ceux chaque comme contre dans depuis deux
    elle elles encore entre \u00e9tait faire fait leur leurs lorsque mais m\u00eame moins notre nous par parce pendant
    peut plus pour pourquoi quand quel quelle sans selon sera ses son sont sous sur tous tout toute toutes tr\u00e8s une
    vers votre vous
    algo ante antes aunque cada como con contra cual cuando desde donde durante ella ellas ellos entre era eran esa ese
    esta estaba estas este esto estos fue fueron hacia hasta muy nada otra otras otro otros para pero poco porque puede
    pues quien seg\u00fan ser sido sin sino sobre solo son tambi\u00e9n tanto tiene tienen toda todas todo todos una unas
    unos
    anche ancora avere che come con cui dalla dalle degli della delle dello dopo essere fino hanno loro mentre molto
    nella nelle nello ogni pi\u00f9 prima qualche quale quando quella quelle quello questa queste questo senza sono sulla
    tutti tutto una
    ainda antes ap\u00f3s assim at\u00e9 cada depois desde dessa desse dela dele entre essa esse esta est\u00e1 isso isto
    mais mas mesmo muito nem nos onde pela pelo para porque qual quando quem sem seu sua suas seus sob sobre
    tamb\u00e9m tem todo todos uma umas uns
    """.split()  # noqa: SIM905 - words are read best as words
)

# A sentence that begins with one of these refers to the one before it.
_DEPENDENT_OPENERS = frozenset(
    """
    it its they them their he him his she her this these that those here there and but so or yet also then thus
    however therefore such both neither er es sie ihr ihre dies diese dieser dieses das und aber doch oder auch dann
    dort il elle ils elles cela ceci ce cette ces et mais donc or aussi puis esto eso estos esas y pero tambi\u00e9n luego
    questo questa questi e ma anche poi isso isto mas ele ela eles elas
    """.split()  # noqa: SIM905 - words are read best as words
)


@dataclass(frozen=True, slots=True)
class TermWeights:
    """The weight of each term of a text."""

    terms: dict[str, float]

    def weight_of(self, sentence: str) -> float:
        """Return a sentence's weight."""
        found = set(terms(sentence))
        return sum(self.terms.get(term, 0.0) for term in found) / (8 + len(found))


def weigh_terms(sentences: Iterable[str]) -> TermWeights:
    """Return the weights of a text's terms; a term in nearly every sentence has none."""
    each = [terms(sentence) for sentence in sentences]
    counts = Counter(term for found in each for term in found)
    spread = Counter(term for found in each for term in set(found))
    common = {term for term, number in spread.items() if len(each) >= _MANY and number > _OFTEN * len(each)}
    return TermWeights({term: math.log1p(count) for term, count in counts.items() if term not in common})


def terms(sentence: str) -> list[str]:
    """Return a sentence's terms in lower case."""
    long_words = [word for match in _WORD.finditer(sentence) if _is_term(word := match[0].lower())]
    runs = _CJK.findall(sentence)
    return long_words + [run[at : at + 2] for run in runs for at in range(len(run) - 1)]


def content_words(text: str) -> list[str]:
    """Return a text's words that are terms, each once, in their order and case."""
    found = {word.casefold(): word for word in reversed(_WORD.findall(text)) if _is_term(word.lower())}
    return list(found.values())[::-1]


def is_content_word(word: str) -> bool:
    """Return whether a lower-case word carries meaning, and is no function word of four letters or more."""
    return word not in _FUNCTION_WORDS


def depends_on_previous(sentence: str) -> bool:
    """Return whether a sentence refers to the one before it, by its first word."""
    first = _WORD.search(sentence)
    return first is not None and first[0].lower() in _DEPENDENT_OPENERS


def label_phrases(sentence: str) -> list[str]:
    """Return phrases that can label a sentence, best first: names of several words, numbers, other names."""
    names = _names(sentence)
    numbers = [found for match in _NUMBER.finditer(sentence) if (found := _number_label(match))]
    return [name for name in names if " " in name] + numbers + [name for name in names if " " not in name]


def is_number(label: str) -> bool:
    """Return whether a label is a number, with or without a unit."""
    return _NUMBER.fullmatch(label) is not None


def _number_label(number: re.Match[str]) -> str:
    """Return a year, an amount, or a number with its unit; "" for a bare number."""
    digits, unit = number["digits"].rstrip(".,"), number["unit"] or ""
    if number["sign"] or "%" in unit:
        return f"{number['sign'] or ''}{digits}{unit if '%' in unit else ''}"
    if len(digits) == LEAST and digits.isdigit():
        return digits
    return f"{digits}{unit}" if _is_term(unit.strip().lower()) else ""


def _names(sentence: str) -> list[str]:
    """Return runs of capitalised terms, except one that starts the sentence."""
    found: list[str] = []
    end = 0
    for match in _WORD.finditer(sentence):
        opens = not any(each.isalnum() for each in sentence[: match.start()])
        if opens or not match[0][0].isupper() or not _is_term(match[0].lower()):
            continue
        if found and sentence[end : match.start()] == " ":
            found[-1] += f" {match[0]}"
        else:
            found.append(match[0])
        end = match.end()
    return found


def _is_term(word: str) -> bool:
    return len(word) >= LEAST and word not in _FUNCTION_WORDS and not _CJK.search(word)
