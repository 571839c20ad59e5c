"""Turns the words of a narration into captions: what is on screen when, in lines that read well. Pure.

A cue holds at most two lines. Breaks are sought after sentences and clauses, lines are balanced, and a cue stays
a moment longer than its speech where nothing follows at once. Text stays in logical order, whatever its direction.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.script.timeline import reading_seconds
from tasks.speech.word_alignment import align_words
from tasks.video.captions import line_breaks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.script.timeline import Slot, Timeline
    from shared.script.values import Scene, Script
    from tasks.speech.engine import Word

MAX_LINES = 2
MAX_COLUMNS = 42  # cells of a line on a wide picture; a Chinese character takes two
MAX_PAUSE = 0.6  # seconds of silence that always end a cue
MIN_SECONDS = 1.0  # seconds that a cue stays where it can
HOLD_SECONDS = 0.4  # seconds that a cue stays after its last word where it can

SENTENCE_ENDS = ".!?…。！？؟।॥"  # noqa: RUF001  (they end sentences)
CLAUSE_ENDS = ",;:–—、，；：،؛"  # noqa: RUF001  (they end clauses)
CLOSING = "\"'”’»)]」』）"  # noqa: RUF001  (they follow what ends a sentence)
MAX_COST = 1e9


@dataclass(frozen=True, slots=True)
class CueWord:
    """A word of a cue, when it is spoken in seconds of the whole video, and the line that it stands in."""

    text: str
    start: float
    end: float
    line: int


@dataclass(frozen=True, slots=True)
class Cue:
    """What is shown from `start` to `end`, in seconds of the whole video. Cues never overlap."""

    start: float
    end: float
    lines: tuple[str, ...]
    words: tuple[CueWord, ...]
    rtl: bool = False


@dataclass(frozen=True, slots=True)
class _Piece:
    """A word, or a part of one too long for a line. `spaced`: white space stands before it."""

    text: str
    start: float
    end: float
    spaced: bool
    ends: str  # "sentence", "clause" or ""
    cells: int  # with the space before it


def columns_for(aspect: str) -> int:
    """Return how many cells a line may take on a picture of that aspect: a tall one is narrow."""
    across, down = (int(part) for part in aspect.split(":"))
    return min(MAX_COLUMNS, max(22, round(MAX_COLUMNS * across / down * 9 / 16 * 1.4)))


def make_cues(
    timeline: Timeline, script: Script, words: Mapping[str, Sequence[Word]], *, columns: int = MAX_COLUMNS
) -> tuple[Cue, ...]:
    """Return the captions of a whole video, in order. `words` holds those of each scene that speaks, by its id."""
    found: list[Cue] = []
    for slot, scene in zip(timeline.scenes, script.scenes, strict=True):
        text = scene.narration.text if scene.narration else ""
        if text and (spoken := words.get(slot.id, ()) or _unspoken_words(slot, scene, timeline)):
            ends = line_breaks.find_breaks(text, script.language)
            found += _scene_cues(
                slot, timeline.fps, _split_pieces(_join_characters(spoken, ends), columns), columns
            )
    return _extend_cues(found, timeline)


def _unspoken_words(slot: Slot, scene: Scene, timeline: Timeline) -> Sequence[Word]:
    """Return the words of what is only captioned: they share the scene's time by their length."""
    if scene.narration is None or reading_seconds(scene) is None:
        return ()
    following = timeline.scenes[slot.index + 1].transition if slot.index + 1 < len(timeline.scenes) else 0
    tail = max(scene.pad_after, following / timeline.fps)
    seconds = slot.frames / timeline.fps - float(slot.lead) - tail
    return align_words(scene.narration.text, (), max(seconds, 1 / timeline.fps))


def count_cells(text: str) -> int:
    """Return how wide a text is: wide characters take two cells, marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(each) in ("Mn", "Me", "Cf") else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in text
    )  # fmt: skip


def is_rtl(text: str) -> bool:
    """Say whether the first letter with a direction runs from right to left."""
    for character in text:
        direction = unicodedata.bidirectional(character)
        if direction in ("L", "R", "AL"):
            return direction != "L"
    return False


@dataclass(frozen=True, slots=True)
class _SpacedWord:
    """A word as it is written, and whether white space stands before it."""

    text: str
    start: float
    end: float
    spaced: bool


def _join_characters(words: Sequence[Word], ends: frozenset[int]) -> list[_SpacedWord]:
    """Join what is timed character by character into words, where a script puts no space between them."""
    said: list[_SpacedWord] = []
    place = None
    for word in words:
        spaced = place is not None and word.offset > place
        place = word.offset + word.length
        text = " ".join(word.text.split())
        before = said[-1] if said else None
        if before and not spaced and word.offset not in ends and _continues_word(before.text, text):
            said[-1] = replace(before, text=before.text + text, end=max(before.end, word.end))
        else:
            said.append(_SpacedWord(text, word.start, word.end, spaced))
    return said


def _continues_word(before: str, after: str) -> bool:
    return line_breaks.is_unspaced(before[-1:]) and line_breaks.is_unspaced(after[:1])


def _split_pieces(words: Sequence[_SpacedWord], columns: int) -> list[_Piece]:
    pieces: list[_Piece] = []
    for word in words:
        parts = _fold_word(word.text, columns)
        step = (word.end - word.start) / max(1, len(parts))
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            begin = word.start + index * step
            end = word.end if last else begin + step
            gap = word.spaced and index == 0
            ending = _ending_kind(part) if last else ""
            pieces.append(_Piece(part, begin, end, gap, ending, count_cells(part) + gap))
    return pieces


def _fold_word(text: str, columns: int) -> list[str]:
    """Cut a word that no line can hold; marks stay with their letter."""
    if count_cells(text) <= columns:
        return [text]
    parts = [""]
    for character in text:
        if count_cells(parts[-1] + character) > columns:
            parts.append("")
        parts[-1] += character
    return [part for part in parts if part]


def _ending_kind(text: str) -> str:
    bare = text.rstrip(CLOSING)
    if bare.endswith(tuple(SENTENCE_ENDS)):
        return "sentence"
    return "clause" if bare.endswith(tuple(CLAUSE_ENDS)) else ""


def _scene_cues(slot: Slot, fps: int, pieces: Sequence[_Piece], columns: int) -> list[Cue]:
    origin = float(slot.narration_start)
    limit = slot.end / fps
    made: list[Cue] = []
    for sentence in _merge_short_sentences(_split_sentences(pieces), columns):
        for first, last in _split_cues(sentence, columns):
            cue = _build_cue(sentence[first:last], origin, columns)
            made.append(replace(cue, end=max(cue.end, min(cue.end + HOLD_SECONDS, limit))))
    return made


def _split_sentences(pieces: Sequence[_Piece]) -> list[list[_Piece]]:
    """Cut where a cue has to end: after a sentence, and at a long silence."""
    sentences: list[list[_Piece]] = [[]]
    for piece in pieces:
        before = sentences[-1][-1] if sentences[-1] else None
        if before is not None and (before.ends == "sentence" or piece.start - before.end > MAX_PAUSE):
            sentences.append([])
        sentences[-1].append(piece)
    return [sentence for sentence in sentences if sentence]


def _merge_short_sentences(sentences: Sequence[list[_Piece]], columns: int) -> list[list[_Piece]]:
    """Join sentences of a word or two with the next one, where they would be gone before they could be read."""
    joined: list[list[_Piece]] = []
    for sentence in sentences:
        before = joined[-1] if joined else None
        if (
            before is not None
            and sentence[0].start - before[0].start < MIN_SECONDS
            and sentence[0].start - before[-1].end <= MAX_PAUSE
            and _cue_cost([*before, *sentence], columns, final=True) is not None
        ):
            before += sentence
        else:
            joined.append(list(sentence))
    return joined


def _split_cues(pieces: Sequence[_Piece], columns: int) -> list[tuple[int, int]]:
    """Return the runs of pieces that make the cues: the cheapest way to cut, found from the end."""
    count = len(pieces)
    if _cue_cost(pieces, columns, final=True) is not None:
        return [(0, count)]  # what fits into one cue is never cheaper in two
    best: list[tuple[float, int]] = [(0.0, count)] * (count + 1)
    for first in range(count - 1, -1, -1):
        options = []
        for last in range(first + 1, count + 1):
            cost = _cue_cost(pieces[first:last], columns, final=last == count)
            if cost is None:
                break
            options.append((cost + best[last][0], last))
        best[first] = min(options)
    runs, first = [], 0
    while first < count:
        runs.append((first, best[first][1]))
        first = best[first][1]
    return runs


def _cue_cost(pieces: Sequence[_Piece], columns: int, *, final: bool) -> float | None:
    """Return how bad a cue of these pieces is, or None where it does not fit."""
    width = _count_width(pieces)
    if width > MAX_LINES * columns or _find_break(pieces, columns) is None:
        return None
    # A cue costs something in itself, so that few are made; a short rest or a cut inside a clause costs more.
    short = max(0.0, 0.5 - width / (MAX_LINES * columns))
    inside = 0.0 if final or pieces[-1].ends else 0.6
    return 1.0 + 2.0 * short + inside


def _count_width(pieces: Sequence[_Piece]) -> int:
    return sum([piece.cells for piece in pieces]) - pieces[0].spaced


def _find_break(pieces: Sequence[_Piece], columns: int) -> int | None:
    """Return before which piece the second line begins (their number: there is none), or None if it cannot fit."""
    width = _count_width(pieces)
    if width <= columns:
        return len(pieces)
    best, least = None, MAX_COST
    above = -int(pieces[0].spaced)
    for place in range(1, len(pieces)):
        above += pieces[place - 1].cells
        below = width - above - pieces[place].spaced
        if above > columns:
            break
        # Balance first; a break after a clause is worth a third of a line of imbalance.
        cost = abs(above - below) - (columns / 3 if pieces[place - 1].ends else 0)
        if below <= columns and cost < least:
            best, least = place, cost
    return best


def _build_cue(pieces: Sequence[_Piece], origin: float, columns: int) -> Cue:
    place = _find_break(pieces, columns)
    if place is None:
        raise ValueError("the pieces do not fit")  # `_split` has seen that they do
    rows = [row for row in (pieces[:place], pieces[place:]) if row]
    words = tuple(
        CueWord(piece.text, origin + piece.start, origin + piece.end, number)
        for number, row in enumerate(rows)
        for piece in row
    )
    lines = tuple(_join_text(row) for row in rows)
    return Cue(words[0].start, words[-1].end, lines, words, is_rtl("".join(lines)))


def _join_text(pieces: Sequence[_Piece]) -> str:
    return "".join((" " if piece.spaced and index else "") + piece.text for index, piece in enumerate(pieces))


def _extend_cues(found: Sequence[Cue], timeline: Timeline) -> tuple[Cue, ...]:
    """Let each cue stay long enough to be read, but never into the next or past the end."""
    spread: list[Cue] = []
    for index, cue in enumerate(found):
        limit = found[index + 1].start if index + 1 < len(found) else float(timeline.seconds)
        end = min(max(cue.end, cue.start + MIN_SECONDS), limit)
        if end > cue.start:
            spread.append(replace(cue, end=end))
    return tuple(spread)
