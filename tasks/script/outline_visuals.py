"""Lays out an outlined script: title card, headings, lists that build up, words and numbers as they are spoken. Pure.

Times within a scene come from estimated speaking times, since nothing is spoken yet.
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
OPENING_SECONDS = 0.8  # before the first word, for the title to appear
CLOSING_SECONDS = 3.0  # of the closing card
TITLE_SECONDS, HEADING_SECONDS = 3.2, 2.4  # for which they stand alone
ITEM_GAP_SECONDS = 0.4  # from one list item to the next, at least
MIN_SHOWN_SECONDS = 1.6  # a few words cannot be read faster
SECONDS_PER_HIGHLIGHT = 4.0  # of speech
MAX_LABEL = 40
MAX_ITEM = 64
MAX_LIST = 5  # items below each other; a longer list is shown item by item
MAX_CORNER_TITLE = 28  # characters left of a title that does not fit the corner
MAX_CONTENTS = 110
MAX_CHART_TITLE = 60
# THEMES suit any topic with light text on dark; _THEME_WORDS are the words of a brief that ask for one.
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
_LIGHT_THEMES = ("paper",)  # their dark text would be unreadable on a dark gradient
_TRANSITIONS = {
    "heading": "slide_left",
    "list": "slide_up",
    "number": "zoom",
    "word": "crossfade",
    "quote": "crossfade",
}


@dataclass(frozen=True, slots=True)
class Shot:
    """The content of a scene: its sentences, which of them are list items, the heading that it opens; or one `card`."""

    narration: str
    sentences: tuple[str, ...] = ()
    items: tuple[bool, ...] = ()
    heading: str = ""
    card: str = ""
    seconds: float | None = None
    chart: dict[str, Any] | None = None  # of a table that follows one of its sentences
    large: bool = False  # shows its words as titles, so that neighbouring scenes differ


def choose_theme(brief: Brief, title: str) -> str:
    """Return the theme that the brief's words ask for, else one that depends on the title alone."""
    asked = f"{brief.style or ''} {brief.tone or ''} {brief.audience or ''}".casefold().split()
    for name, words in _THEME_WORDS.items():
        if any(each.startswith(words) for each in asked):
            return name
    return THEMES[crc32(title.encode()) % len(THEMES)]


def build_document(
    title: str, shots: Sequence[Shot], brief: Brief, weights: TermWeights, headings: Sequence[str]
) -> dict[str, Any]:
    """Return the script's document for the shots, without its variables."""
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
        if shot.chart:  # a chart fills the picture: text would cover it
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
    """Return the chart with the scene's heading in its title."""
    title = ": ".join(each for each in (heading, chart["title"]) if each)
    return {**chart, "title": title} if len(title) <= MAX_CHART_TITLE else chart


def with_closing_card(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with a closing card that shows the title again."""
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
    """Return the first scene's texts: the title, the headings of the sections, then the highlights."""
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
    """Return a scene's texts: the title in the corner, and a heading, a list or the highlights."""
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
    """Return the highlights of each sentence, shown from when it is spoken until the next; list items stay together."""
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
    """Return the weightiest of the scene's words where it has no highlight."""
    found = next(
        (each for said in shot.sentences if (each := heaviest_word(said, weights, shown, 0.0))), None
    )
    if found is None:
        return []
    shown.add(found.text.casefold())
    return [{"text": found.text, "role": "title", "animation": "rise", "start": 0.4}]
