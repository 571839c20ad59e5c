"""A script without a model: the sentences of a text that carry it, scene by scene, in their own words and order. Pure.

It invents nothing. What it says was in the brief, and the same brief gives the same script.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shared import pace
from shared.schemas import placeholders
from shared.schemas.canonical import texts
from tasks.script import terms
from tasks.script.colors import gradients
from tasks.script.sentences import Article, Sentence, article, split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.script import Brief

SCENE = 9.0  # seconds: long enough for a thought, short enough for one picture
USUAL = 75.0  # seconds of a video for which no length was asked
LONGEST_CARD = 8.0  # seconds that one line may stand alone
SILENT_CARD = 2.5
CARDS = 3  # scenes of a topic for which no number was asked
MUST = 100.0  # a sentence that names a keyword goes before all that name none
MAX_TITLE = 80
MAX_LABEL = 40
_FULL_STOP = {"ja": "\u3002", "zh": "\u3002", "hi": "\u0964", "ur": "\u06d4"}


@dataclass(frozen=True, slots=True)
class Outline:
    """A script as a document, and what of the brief it does not fulfil."""

    document: dict[str, Any]
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Scene:
    narration: str
    label: str = ""
    large: bool = False  # shows its label as a title
    seconds: float | None = field(default=None)


def outline(brief: Brief) -> Outline:
    """Make a script of the brief's source text, or of its topic alone."""
    text = article(brief.source_text) if brief.source_text else Article("", ())
    title = _title(brief, text)
    scenes = _told(brief, text) if text.sentences else _cards(brief, title)
    document = _document(brief, title, scenes)
    return Outline(document, tuple(_warnings(brief, scenes)))


def _title(brief: Brief, text: Article) -> str:
    lines = split((brief.topic or "").strip().partition("\n")[0])
    first = text.sentences[0].text if text.sentences else ""
    title = next(
        (each for each in (*lines[:1], text.title, first, (brief.source_text or "").strip()) if each), ""
    )
    title = " ".join(title.split())
    if len(title) <= MAX_TITLE:
        return title.rstrip(".\u3002")
    cut = title[:MAX_TITLE]
    # At a comma, where the words before it make sense alone; else between two words.
    clause = max(cut.rfind(mark) for mark in ",;:\u3001\uff0c")
    whole = cut[:clause] if clause > MAX_TITLE // 4 else cut.rpartition(" ")[0] or cut
    return whole.rstrip(",;:") + "\u2026"


def _told(brief: Brief, text: Article) -> list[_Scene]:
    """Choose from each part of the text, so that its end is told as well as its beginning."""
    unique: dict[str, Sentence] = {}
    for each in text.sentences:
        unique.setdefault(each.text, each)
    sentences = list(unique.values())
    everything = sum(pace.seconds(each.text) for each in sentences) + pace.PAUSE
    budget = brief.duration or (brief.scenes * SCENE if brief.scenes else min(everything, USUAL))
    number = min(brief.scenes or max(1, round(budget / SCENE)), len(sentences))
    weights = terms.weigh(each.text for each in sentences)
    scenes, shown, left = [], set[str](), 0.0
    for at, part in enumerate(_parts(sentences, number)):
        share = budget / number - pace.PAUSE + left
        chosen = _chosen(part, share, brief, weights)
        left = share - sum(pace.seconds(each.text) for each in chosen)
        label = _label(chosen, shown) if at else ""
        shown.add(label)
        large = bool(label) and label == _capital(chosen[0].heading)
        scenes.append(_Scene(_joined([each.text for each in chosen], brief.language), label, large=large))
    return scenes


def _parts(sentences: Sequence[Sentence], number: int) -> list[Sequence[Sentence]]:
    """Cut the text into parts that take about as long to say, where a heading stands or a paragraph begins nearby."""
    marks = [0.0]
    for each in sentences:
        marks.append(marks[-1] + pace.seconds(each.text))
    share = marks[-1] / number
    cuts = [0]
    for part in range(1, number):
        possible = range(cuts[-1] + 1, len(sentences) - (number - part) + 1)
        cuts.append(min(possible, key=lambda at: _distance(marks[at] - part * share, sentences[at], share)))
    return [sentences[start:end] for start, end in zip(cuts, [*cuts[1:], len(sentences)], strict=True)]


def _distance(seconds: float, begins: Sentence, share: float) -> float:
    return abs(seconds) + share * (0.0 if begins.opens else 0.25 if begins.first else 0.5)


def _chosen(part: Sequence[Sentence], share: float, brief: Brief, weights: terms.Weights) -> list[Sentence]:
    """Take the weightiest sentences that fit, and at least one; hand them back in the order of the text.

    One that leans on the sentence before it is taken only after that one, or as the weightiest.
    """
    ranked = sorted(range(len(part)), key=lambda at: -_score(part[at], brief, weights))
    taken, spent = {ranked[0]}, pace.seconds(part[ranked[0]].text)
    for at in (*ranked, *ranked):  # twice, as what comes second may be what another leans on
        seconds = pace.seconds(part[at].text)
        stands = not (terms.leans(part[at].text) or _asks(part[at].text)) or at - 1 in taken
        if at not in taken and stands and spent + seconds <= share:
            taken.add(at)
            spent += seconds
    return [part[at] for at in sorted(taken)]


def _asks(text: str) -> bool:
    return text.rstrip("\"'\u201d\u00bb").endswith(("?", "\uff1f", "\u061f"))


def _score(sentence: Sentence, brief: Brief, weights: terms.Weights) -> float:
    """Weigh a sentence by its terms; more where it opens a paragraph or names a keyword, less where it leans on another."""
    text = sentence.text.casefold()
    score = weights.of(sentence.text)
    score *= 1.25 if sentence.first else 1.0
    score *= MUST if any(word.casefold() in text for word in brief.keywords) else 1.0
    score *= 0.6 if terms.leans(text) else 1.0
    return score * (0.8 if _asks(text) else 1.0)


def _label(chosen: Sequence[Sentence], shown: set[str]) -> str:
    """Return a few words for the lower third that were not shown before, or none."""
    found = [phrase for each in chosen for phrase in terms.phrases(each.text)]
    known = {label.casefold() for label in shown}
    for each in (chosen[0].heading, *found):
        label = _capital(each)
        if label.casefold() not in known and 3 <= len(label) <= MAX_LABEL:
            return label
    return ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _cards(brief: Brief, title: str) -> list[_Scene]:
    """Say what a topic says, then the keywords; where more scenes are wanted, show its words and its title. Invent nothing."""
    topic = brief.topic or brief.source_text or ""
    spoken = [each.text for each in article(topic).sentences] or [title]
    scenes = [_Scene(_joined([line], brief.language)) for line in spoken]
    scenes += [
        _Scene(_joined([word], brief.language), word, large=True) for word in map(_capital, brief.keywords)
    ]
    shown = {word.casefold() for word in brief.keywords}
    words = [word for word in terms.words(topic) if word.casefold() not in shown]
    missing = max((brief.scenes or CARDS) - len(scenes), 0)
    silent = [*map(_capital, words[: missing - 1]), title] if missing and title else []
    scenes += [_Scene("", word, large=True, seconds=SILENT_CARD) for word in silent]
    scenes = scenes[: brief.scenes]
    if brief.duration:
        for scene in scenes:
            scene.seconds = min(brief.duration / len(scenes), LONGEST_CARD)
    return scenes


def _joined(sentences: Sequence[str], language: str) -> str:
    """Join sentences, ending each: an item of a list may have no full stop of its own."""
    stop = _FULL_STOP.get(language.partition("-")[0].lower(), ".")
    ended = [each if not each[-1].isalnum() else each + stop for each in sentences if each]
    return ("" if stop == "\u3002" else " ").join(ended)


def _document(brief: Brief, title: str, scenes: Sequence[_Scene]) -> dict[str, Any]:
    colors = gradients(len(scenes))
    document = {
        "title": title,
        "language": brief.language,
        "defaults": {"transition": {"type": "crossfade", "duration": 0.5}},
        "scenes": [
            _scene(scene, title, colors[at], opens=at == 0 and bool(title)) for at, scene in enumerate(scenes)
        ],
    }
    variables = placeholders.literals(texts(document))
    return {**document, "variables": variables} if variables else document


def _scene(scene: _Scene, title: str, colors: list[str], *, opens: bool) -> dict[str, Any]:
    """Write the title large where the video opens; later it stands small above what the scene is about."""
    written: list[dict[str, Any]] = []
    if opens:
        written.append({"text": title, "role": "title", "animation": "fade"})
    else:
        if 0 < len(title) <= MAX_LABEL and title != scene.label:
            written.append({"text": title, "role": "label"})
        if scene.label:
            role = "title" if scene.large or terms.is_number(scene.label) else "lower_third"
            written.append({"text": scene.label, "role": role, "animation": "rise", "start": 0.4})
    visual = {"type": "gradient", "colors": colors}
    document: dict[str, Any] = {"narration": scene.narration, "visual": visual, "text": written}
    return document | ({"duration": scene.seconds} if scene.seconds else {})


def _warnings(brief: Brief, scenes: Sequence[_Scene]) -> list[str]:
    said = " ".join(scene.narration for scene in scenes).casefold()
    found = []
    if brief.scenes and len(scenes) != brief.scenes:
        found.append(f"The brief says enough for {len(scenes)} scenes, not for {brief.scenes}.")
    missing = [word for word in brief.keywords if word.casefold() not in said]
    if missing:
        found.append(f"Not said: {', '.join(missing)}.")
    seconds = sum(max(pace.length([scene.narration]), scene.seconds or 0.0) for scene in scenes)
    if brief.duration and not 0.85 <= seconds / brief.duration <= 1.15:
        found.append(f"The brief says enough for about {seconds:.0f} seconds, not for {brief.duration:g}.")
    return found
