"""The offline outliner: builds a script from sentences of the source text, in their own words and order. Pure.

It invents nothing, and the same brief gives the same script.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from shared.script import speaking_rate
from shared.script.schema import placeholders
from shared.script.schema.canonical import iterate_strings
from tasks.script import outline_visuals, term_weights
from tasks.script.outline_visuals import Shot
from tasks.script.sentences import Article, Sentence, parse_article, split_sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.script.values import Brief

SCENE_SECONDS = 9.0  # long enough for a thought, short enough for one picture
DEFAULT_SECONDS = 75.0  # length of a video whose brief asks for none
MAX_CARD_SECONDS = 8.0  # for which one line may stand alone
SILENT_CARD_SECONDS = 2.5
DEFAULT_TOPIC_SCENES = 3  # where the brief asks for no number
KEYWORD_WEIGHT = 100.0  # larger than any other factor: sentences with a keyword win
MAX_TITLE = 80
MAX_LABEL = 40
LEAD_SECONDS = 0.2  # before the first word of any scene
MIN_SECONDS_WITH_CLOSING = 30.0  # a shorter video has no time for a closing card
_FULL_STOP = {"ja": "\u3002", "zh": "\u3002", "hi": "\u0964", "ur": "\u06d4"}


@dataclass(frozen=True, slots=True)
class Outline:
    """A script as a document, and warnings about what of the brief it misses."""

    document: dict[str, Any]
    warnings: tuple[str, ...] = ()


def write_outline(brief: Brief) -> Outline:
    """Return a script of the brief's source text, or of its topic alone."""
    text = parse_article(brief.source_text, brief.language) if brief.source_text else Article("", ())
    title = _title(brief, text)
    weights = term_weights.weigh_terms(each.text for each in text.sentences)
    closes = brief.scenes is None and (brief.duration or DEFAULT_SECONDS) >= MIN_SECONDS_WITH_CLOSING
    shots = (
        _narrated_shots(brief, text, weights, closes=closes) if text.sentences else _topic_shots(brief, title)
    )
    headings = list(dict.fromkeys(each.heading for each in text.sentences if each.starts_section))
    document = outline_visuals.build_document(title, shots, brief, weights, headings)
    if closes and text.sentences and title and len(shots) > 1:
        document = outline_visuals.with_closing_card(document)
    variables = placeholders.literal_variables(iterate_strings(document))
    return Outline(
        {**document, "variables": variables} if variables else document, tuple(_warnings(brief, document))
    )


def _title(brief: Brief, text: Article) -> str:
    lines = split_sentences((brief.topic or "").strip().partition("\n")[0], brief.language)
    first = text.sentences[0].text if text.sentences else ""
    title = next(
        (each for each in (*lines[:1], text.title, first, (brief.source_text or "").strip()) if each), ""
    )
    title = " ".join(title.split())
    if len(title) <= MAX_TITLE:
        return title.rstrip(".\u3002")
    cut = title[:MAX_TITLE]
    # Cut at a comma if enough words stand before it, else between two words.
    clause = max(cut.rfind(mark) for mark in ",;:\u3001\uff0c")
    whole = cut[:clause] if clause > MAX_TITLE // 4 else cut.rpartition(" ")[0] or cut
    return whole.rstrip(",;:") + "\u2026"


def _narrated_shots(
    brief: Brief, text: Article, weights: term_weights.TermWeights, *, closes: bool
) -> list[Shot]:
    """Choose sentences from each part of the text, so that its end is told as well as its beginning."""
    unique: dict[str, Sentence] = {}
    for each in text.sentences:
        unique.setdefault(each.text, each)
    sentences = list(unique.values())
    everything = (
        sum(speaking_rate.estimate_speech_seconds(each.text) for each in sentences) + speaking_rate.PAUSE
    )
    budget = brief.duration or (
        brief.scenes * SCENE_SECONDS if brief.scenes else min(everything, DEFAULT_SECONDS)
    )
    number = min(brief.scenes or max(1, round(budget / SCENE_SECONDS)), len(sentences))
    if brief.duration:
        budget -= outline_visuals.OPENING_SECONDS + (outline_visuals.CLOSING_SECONDS if closes else 0.0)
    charts = {text.sentences[at].text: chart for at, chart in text.charts}
    shots, opened, left = list[Shot](), set[str](), 0.0
    for part in _split_into_parts(sentences, number):
        share = budget / number - speaking_rate.PAUSE + left
        chosen = _choose_sentences(part, share, brief, weights)
        left = share - sum(speaking_rate.estimate_speech_seconds(each.text) for each in chosen)
        shot = _shot(chosen, brief.language, opened, large=len(shots) % 2 == 1)
        chart = next((charts[each.text] for each in part if each.text in charts), None) if shots else None
        shots.append(replace(shot, chart=chart))
    return shots


def _shot(chosen: Sequence[Sentence], language: str, opened: set[str], *, large: bool) -> Shot:
    """Return a scene's shot. Its heading is shown only by the first scene of a section."""
    heading = _capitalized(chosen[0].heading)
    new = heading if 3 <= len(heading) <= MAX_LABEL and heading not in opened else ""
    opened.add(heading)
    said = tuple(_with_full_stop(each.text, language) for each in chosen)
    return Shot(
        _join_sentences(said, language), said, tuple(each.is_item for each in chosen), new, large=large
    )


def _split_into_parts(sentences: Sequence[Sentence], number: int) -> list[Sequence[Sentence]]:
    """Split the text into parts of about equal speaking time, at headings or paragraphs where one is near."""
    marks = [0.0]
    for each in sentences:
        marks.append(marks[-1] + speaking_rate.estimate_speech_seconds(each.text))
    share = marks[-1] / number
    cuts = [0]
    for part in range(1, number):
        possible = range(cuts[-1] + 1, len(sentences) - (number - part) + 1)
        cuts.append(min(possible, key=lambda at: _cut_cost(marks[at] - part * share, sentences[at], share)))
    return [sentences[start:end] for start, end in zip(cuts, [*cuts[1:], len(sentences)], strict=True)]


def _cut_cost(seconds: float, begins: Sentence, share: float) -> float:
    return abs(seconds) + share * (0.0 if begins.starts_section else 0.25 if begins.starts_paragraph else 0.5)


def _choose_sentences(
    part: Sequence[Sentence], share: float, brief: Brief, weights: term_weights.TermWeights
) -> list[Sentence]:
    """Return the weightiest sentences that fit into `share` seconds, at least one, in the text's order.

    A sentence that refers to the one before it is chosen only together with that one, or as the weightiest.
    """
    ranked = sorted(range(len(part)), key=lambda at: -_score(part[at], brief, weights))
    taken, spent = {ranked[0]}, speaking_rate.estimate_speech_seconds(part[ranked[0]].text)
    for at in (*ranked, *ranked):  # twice: a sentence chosen late may be the one that another refers to
        seconds = speaking_rate.estimate_speech_seconds(part[at].text)
        stands = (
            not (term_weights.depends_on_previous(part[at].text) or _is_question(part[at].text))
            or at - 1 in taken
        )
        if at not in taken and stands and spent + seconds <= share:
            taken.add(at)
            spent += seconds
    return [part[at] for at in sorted(taken)]


def _is_question(text: str) -> bool:
    return text.rstrip("\"'\u201d\u00bb").endswith(("?", "\uff1f", "\u061f"))


def _score(sentence: Sentence, brief: Brief, weights: term_weights.TermWeights) -> float:
    """Return a sentence's weight: more where it opens a paragraph or has a keyword, less where it refers to another."""
    text = sentence.text.casefold()
    score = weights.weight_of(sentence.text)
    score *= 1.25 if sentence.starts_paragraph else 1.0
    score *= KEYWORD_WEIGHT if any(word.casefold() in text for word in brief.keywords) else 1.0
    score *= 0.6 if term_weights.depends_on_previous(text) else 1.0
    return score * (0.8 if _is_question(text) else 1.0)


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def _topic_shots(brief: Brief, title: str) -> list[Shot]:
    """Return scenes of a topic without a text: its sentences, then the keywords, then silent cards with its words."""
    topic = brief.topic or brief.source_text or ""
    spoken = [each.text for each in parse_article(topic, brief.language).sentences] or [title]
    shots = [_topic_shot(line, brief.language) for line in spoken]
    shots += [_topic_shot(word, brief.language, shows=word) for word in map(_capitalized, brief.keywords)]
    shown = {word.casefold() for word in brief.keywords}
    words = [word for word in term_weights.content_words(topic) if word.casefold() not in shown]
    missing = max((brief.scenes or DEFAULT_TOPIC_SCENES) - len(shots), 0)
    silent = [*map(_capitalized, words[: missing - 1]), title] if missing and title else []
    shots += [Shot("", card=word, seconds=SILENT_CARD_SECONDS) for word in silent]
    shots = shots[: brief.scenes]
    if brief.duration:
        each = min(brief.duration / len(shots), MAX_CARD_SECONDS)
        shots = [replace(shot, seconds=each) for shot in shots]
    return shots


def _topic_shot(line: str, language: str, shows: str = "") -> Shot:
    said = _with_full_stop(line, language)
    return Shot(said, card=shows) if shows else Shot(said, (said,), (False,))


def _with_full_stop(sentence: str, language: str) -> str:
    """Return the sentence with a final full stop: an item of a list may have none."""
    stop = _FULL_STOP.get(language.partition("-")[0].lower(), ".")
    return sentence if not sentence or not sentence[-1].isalnum() else sentence + stop


def _join_sentences(sentences: Sequence[str], language: str) -> str:
    stop = _FULL_STOP.get(language.partition("-")[0].lower(), ".")
    return ("" if stop == "\u3002" else " ").join(sentences)


def _warnings(brief: Brief, document: dict[str, Any]) -> list[str]:
    scenes = document["scenes"]
    said = " ".join(scene.get("narration", "") for scene in scenes).casefold()
    found = []
    if brief.scenes and len(scenes) != brief.scenes:
        found.append(f"The brief says enough for {len(scenes)} scenes, not for {brief.scenes}.")
    missing = [word for word in brief.keywords if word.casefold() not in said]
    if missing:
        found.append(f"Not said: {', '.join(missing)}.")
    seconds = sum(_seconds(scene) for scene in scenes)
    if brief.duration and not 0.85 <= seconds / brief.duration <= 1.15:
        found.append(f"The brief says enough for about {seconds:.0f} seconds, not for {brief.duration:g}.")
    return found


def _seconds(scene: dict[str, Any]) -> float:
    said: str = scene.get("narration", "")
    shown = max(
        speaking_rate.estimate_video_seconds([said]) if said else 0.0, float(scene.get("duration", 0.0))
    )
    return shown + float(scene.get("pad_before", LEAD_SECONDS)) - LEAD_SECONDS
