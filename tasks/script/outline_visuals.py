"""How a script without pictures looks: a title card, headings, lists that build up, words and numbers as they are said. Pure.

Times within a scene follow from how long its sentences take to say: about, as nobody has spoken yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zlib import crc32

from shared.script import speaking_rate
from tasks.script import term_weights
from tasks.script.colors import scene_gradients
from tasks.script.highlights import Highlight, find_highlights, heaviest_word

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shared.script.values import Brief
    from tasks.script.term_weights import TermWeights

CROSSFADE = 0.5
OPENING_SECONDS = 0.8  # seconds before the first word, for the title to arrive
CLOSING_SECONDS = 3.0  # seconds of the last card
TITLE_SECONDS, HEADING_SECONDS = 3.2, 2.4  # seconds that they stand alone
ITEM_GAP_SECONDS = 0.4  # seconds from one item of a list to the next, at least
MIN_SHOWN_SECONDS = 1.6  # seconds in which a few words can be read
SECONDS_PER_HIGHLIGHT = 4.0  # seconds of a sentence for which one thing is shown
MAX_LABEL = 40
MAX_ITEM = 64
MAX_LIST = 5  # items that stand below each other; more of them stand alone, one after the other
MAX_CORNER_TITLE = 28  # characters of a title that is too long for its corner
MAX_CONTENTS = 110
MAX_CHART_TITLE = 60
# Whose letters are light on dark, and suit any matter; and the one that words of a brief ask for.
THEMES = ("slate", "bulletin", "forest", "chalk", "sunrise")
_THEME_WORDS = {
    "paper": ("paper", "light", "bright", "minimal", "book"),
    "noir": ("noir", "black", "serious", "solemn", "dramatic", "film", "sad"),
    "neon": ("neon", "tech", "cyber", "futur", "night", "game", "bold"),
    "forest": ("forest", "nature", "green", "earth", "calm"),
    "chalk": ("chalk", "school", "class", "child", "teach", "student"),
    "sunrise": ("sunrise", "warm", "cheer", "happy", "friendly", "fun"),
    "bulletin": ("bulletin", "news", "business", "corporate", "formal"),
    "slate": ("slate", "plain", "neutral", "sober", "modern"),
}
_LIGHT_THEMES = ("paper",)  # on whose dark letters a dark gradient does not go
_TRANSITIONS = {
    "heading": "slide_left",
    "list": "slide_up",
    "number": "zoom",
    "word": "crossfade",
    "quote": "crossfade",
}


@dataclass(frozen=True, slots=True)
class Shot:
    """What a scene tells: its sentences, which of them are items of a list, the heading that it opens; or one `card`."""

    narration: str
    sentences: tuple[str, ...] = ()
    items: tuple[bool, ...] = ()
    heading: str = ""
    card: str = ""
    seconds: float | None = None
    chart: dict[str, Any] | None = None  # of a table that stands behind one of its sentences
    large: bool = False  # writes its words as titles, so that neighbours differ


def choose_theme(brief: Brief, title: str) -> str:
    """Return the theme that the brief's own words ask for, else one that is always the same for a title."""
    asked = f"{brief.style or ''} {brief.tone or ''} {brief.audience or ''}".casefold().split()
    for name, words in _THEME_WORDS.items():
        if any(each.startswith(words) for each in asked):
            return name
    return THEMES[crc32(title.encode()) % len(THEMES)]


def build_document(
    title: str, shots: Sequence[Shot], brief: Brief, weights: TermWeights, headings: Sequence[str]
) -> dict[str, Any]:
    """Return the document of a script that tells the shots, without its variables."""
    name = choose_theme(brief, title)
    colors = scene_gradients(len(shots), name)
    shown = {title.casefold(), *map(str.casefold, term_weights.content_words(title))}
    scenes = []
    for at, shot in enumerate(shots):
        texts = (
            _opening_texts(title, shot, weights, shown, headings)
            if at == 0
            else _scene_texts(title, shot, weights, shown)
        )
        scene: dict[str, Any] = {"narration": shot.narration, "text": texts}
        if shot.chart:  # which fills the picture
            scene |= {"visual": _with_heading(shot.chart, shot.heading), "text": []}
        elif at and name not in _LIGHT_THEMES and at % 2 == 0:
            scene["visual"] = {"type": "gradient", "colors": colors[at]}
        if at == 0 and shot.narration:
            scene["pad_before"] = OPENING_SECONDS
        if at and (transition := _TRANSITIONS.get(_shot_kind(shot, texts), "crossfade")) != "crossfade":
            scene["transition"] = {"type": transition, "duration": CROSSFADE}
        scenes.append(scene | ({"duration": shot.seconds} if shot.seconds else {}))
    return {
        "title": title,
        "language": brief.language,
        "theme": name,
        "captions": {"style": "words"},
        "defaults": {"transition": {"type": "crossfade", "duration": CROSSFADE}},
        "scenes": scenes,
    }


def _with_heading(chart: dict[str, Any], heading: str) -> dict[str, Any]:
    """Put the heading that a scene opens above its chart."""
    title = ": ".join(each for each in (heading, chart["title"]) if each)
    return {**chart, "title": title} if len(title) <= MAX_CHART_TITLE else chart


def with_closing_card(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with a last card: its title once more, out of black."""
    last = {
        "duration": CLOSING_SECONDS,
        "text": [{"text": document["title"], "role": "title", "animation": "fade"}],
        "transition": {"type": "fade_black", "duration": 0.8},
    }
    return {**document, "scenes": [*document["scenes"], last]}


def _shot_kind(shot: Shot, texts: Sequence[dict[str, Any]]) -> str:
    roles = [each["role"] for each in texts if each["role"] != "label"]
    if shot.heading:
        return "heading"
    if sum(shot.items) > 1:
        return "list"
    return "number" if roles[:2] == ["title", "subtitle"] or shot.card else "quote"


def _opening_texts(
    title: str, shot: Shot, weights: TermWeights, shown: set[str], headings: Sequence[str]
) -> list[dict[str, Any]]:
    """Show the title, above what the parts of the text are headed; then what is said."""
    if not title:
        return _highlight_texts(shot, weights, shown, 0.0)
    later = _highlight_texts(shot, weights, shown, TITLE_SECONDS)
    ends = {"end": later[0]["start"]} if later else {}
    texts = [{"text": title, "role": "title", "animation": "rise", **ends}]
    contents = " \u00b7 ".join(headings)
    if len(headings) > 1 and len(contents) <= MAX_CONTENTS:
        texts.append({"text": contents, "role": "subtitle", "animation": "fade", "start": 0.6, **ends})
    return texts + later


def _scene_texts(title: str, shot: Shot, weights: TermWeights, shown: set[str]) -> list[dict[str, Any]]:
    """Show in the corner what all of it is about; a heading or a list large, or what is said."""
    if shot.card:
        return [{"text": shot.card, "role": "title", "animation": "rise"}]
    texts: list[dict[str, Any]] = []
    if title:
        texts.append({"text": _corner_title(title), "role": "label"})
    if not shot.heading:
        return texts + (_highlight_texts(shot, weights, shown, 0.0) or _fallback_text(shot, weights, shown))
    shown.add(shot.heading.casefold())
    later = _highlight_texts(shot, weights, shown, HEADING_SECONDS)
    ends = {"end": later[0]["start"]} if later else {}
    return [
        *texts,
        {"text": shot.heading, "role": "title", "animation": "rise", "start": 0.2, **ends},
        *later,
    ]


@dataclass(frozen=True, slots=True)
class _TimedHighlight:
    start: float
    words: Highlight
    item: bool = False


def _corner_title(title: str) -> str:
    if len(title) <= MAX_LABEL:
        return title
    cut = title[:MAX_CORNER_TITLE]
    return (cut.rpartition(" ")[0] or cut).rstrip(" ,;:.\u2026") + "\u2026"


def _highlight_texts(shot: Shot, weights: TermWeights, shown: set[str], since: float) -> list[dict[str, Any]]:
    """Show what is worth it of each sentence, when it is said, until the next is. Items of a list stay together."""
    timed = list(_timed_highlights(shot, weights, shown, since))
    texts: list[dict[str, Any]] = []
    for at, each in enumerate(timed):
        later = next((other for other in timed[at + 1 :] if not (each.item and other.item)), None)
        ends = {"end": later.start} if later else {}
        words = each.words
        role = "title" if words.role == "quote" and shot.large else words.role
        arrives = "type" if role == "quote" else "rise"
        texts.append({"text": words.text, "role": role, "animation": arrives, "start": each.start, **ends})
        if words.subtitle:
            start = round(each.start + 0.3, 1)
            texts.append(
                {"text": words.subtitle, "role": "subtitle", "animation": "fade", "start": start, **ends}
            )
    return texts


def _timed_highlights(
    shot: Shot, weights: TermWeights, shown: set[str], since: float
) -> Iterator[_TimedHighlight]:
    at = CROSSFADE
    listed = 1 < sum(shot.items) <= MAX_LIST
    for sentence, item in zip(shot.sentences, shot.items, strict=True):
        seconds = speaking_rate.estimate_speech_seconds(sentence)
        if item and len(sentence) <= MAX_ITEM:
            words = Highlight("title", sentence.rstrip(".\u3002"), 0)
            start = max(at - 0.2, since)
            yield _TimedHighlight(round(start, 1), words, item=listed)
            since = start + (ITEM_GAP_SECONDS if listed else MIN_SHOWN_SECONDS)
        else:
            found = find_highlights(sentence, weights, shown, 1 + int(seconds / SECONDS_PER_HIGHLIGHT))
            for each in found or filter(None, [heaviest_word(sentence, weights, shown)]):
                start = max(at + speaking_rate.estimate_speech_seconds(sentence[: each.at]) - 0.2, since)
                if at + seconds - start >= MIN_SHOWN_SECONDS:
                    shown.add(each.text.casefold())
                    yield _TimedHighlight(round(start, 1), each)
                    since = start + MIN_SHOWN_SECONDS
        at += seconds


def _fallback_text(shot: Shot, weights: TermWeights, shown: set[str]) -> list[dict[str, Any]]:
    """Show one of the scene's own words rather than nothing."""
    found = next(
        (each for said in shot.sentences if (each := heaviest_word(said, weights, shown, 0.0))), None
    )
    if found is None:
        return []
    shown.add(found.text.casefold())
    return [{"text": found.text, "role": "title", "animation": "rise", "start": 0.4}]
