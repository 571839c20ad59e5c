"""Splits a narration's timed words into caption cues with balanced lines. Pure.

A cue has at most two lines. It ends after a sentence or a clause where possible, and stays a moment longer than its speech if
no cue follows at once. Text stays in logical order, whatever its direction.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.script.timeline import reading_seconds
from tasks.speech.word_alignment import align_words
from tasks.video.captions import line_breaks
from tasks.video.captions.pieces import join_characters, split_pieces

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.script.timeline import Slot, Timeline
    from shared.script.values import Scene, Script
    from tasks.speech.engine import Word
    from tasks.video.captions.pieces import Piece

MAX_LINES = 2
MAX_COLUMNS = 42  # cells of a line on a wide picture; a Chinese character takes two
MAX_PAUSE = 0.6  # seconds: a longer silence ends a cue
MIN_SECONDS = 1.0  # seconds that a cue stays, unless the next one begins earlier
HOLD_SECONDS = 0.4  # seconds that a cue stays after its last word, unless the next one begins earlier

MAX_COST = 1e9


@dataclass(frozen=True, slots=True)
class CueWord:
    """A word of a cue: its times in seconds of the whole video, and the number of its line."""

    text: str
    start: float
    end: float
    line: int


@dataclass(frozen=True, slots=True)
class Cue:
    """A caption shown from `start` to `end`, in seconds of the whole video. Cues never overlap."""

    start: float
    end: float
    lines: tuple[str, ...]
    words: tuple[CueWord, ...]
    rtl: bool = False


def columns_for(aspect: str) -> int:
    """Return the cells of a line on a picture of that aspect, such as "9:16"; a tall picture has fewer."""
    across, down = (int(part) for part in aspect.split(":"))
    return min(MAX_COLUMNS, max(22, round(MAX_COLUMNS * across / down * 9 / 16 * 1.4)))


def make_cues(
    timeline: Timeline, script: Script, words: Mapping[str, Sequence[Word]], *, columns: int = MAX_COLUMNS
) -> tuple[Cue, ...]:
    """Return the cues of a whole video, in order. `words` holds the spoken words by scene id."""
    cues: list[Cue] = []
    for slot, scene in zip(timeline.scenes, script.scenes, strict=True):
        text = scene.narration.text if scene.narration else ""
        if text and (scene_words := words.get(slot.id, ()) or _unspoken_words(slot, scene, timeline)):
            ends = line_breaks.find_breaks(text, script.language)
            cues += _scene_cues(
                slot, timeline.fps, split_pieces(join_characters(scene_words, ends), columns), columns
            )
    return _extend_cues(cues, timeline)


def _unspoken_words(slot: Slot, scene: Scene, timeline: Timeline) -> Sequence[Word]:
    """Return words for a text that is captioned but not spoken: they share the scene's time in proportion to their length."""
    if scene.narration is None or reading_seconds(scene) is None:
        return ()
    following = timeline.scenes[slot.index + 1].transition if slot.index + 1 < len(timeline.scenes) else 0
    tail = max(scene.pad_after, following / timeline.fps)
    seconds = slot.frames / timeline.fps - float(slot.lead) - tail
    return align_words(scene.narration.text, (), max(seconds, 1 / timeline.fps))


def is_rtl(text: str) -> bool:
    """Return whether the first letter with a direction is right-to-left."""
    for character in text:
        direction = unicodedata.bidirectional(character)
        if direction in ("L", "R", "AL"):
            return direction != "L"
    return False


def _scene_cues(slot: Slot, fps: int, pieces: Sequence[Piece], columns: int) -> list[Cue]:
    origin = float(slot.narration_start)
    limit = slot.end / fps
    cues: list[Cue] = []
    for sentence in _merge_short_sentences(_split_sentences(pieces), columns):
        for first, last in _split_cues(sentence, columns):
            cue = _build_cue(sentence[first:last], origin, columns)
            cues.append(replace(cue, end=max(cue.end, min(cue.end + HOLD_SECONDS, limit))))
    return cues


def _split_sentences(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Split where a cue must end: after a sentence, and at a long silence."""
    sentences: list[list[Piece]] = [[]]
    for piece in pieces:
        before = sentences[-1][-1] if sentences[-1] else None
        if before is not None and (before.ends == "sentence" or piece.start - before.end > MAX_PAUSE):
            sentences.append([])
        sentences[-1].append(piece)
    return [sentence for sentence in sentences if sentence]


def _merge_short_sentences(sentences: Sequence[list[Piece]], columns: int) -> list[list[Piece]]:
    """Join very short sentences with the next one: on their own they would vanish before they can be read."""
    joined: list[list[Piece]] = []
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


def _split_cues(pieces: Sequence[Piece], columns: int) -> list[tuple[int, int]]:
    """Return the first and last pieces of each cue: the cheapest split, found by dynamic programming from the end."""
    count = len(pieces)
    if _cue_cost(pieces, columns, final=True) is not None:
        return [(0, count)]  # one cue is never dearer than two
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


def _cue_cost(pieces: Sequence[Piece], columns: int, *, final: bool) -> float | None:
    """Return the cost of a cue of these pieces, or None if they do not fit."""
    width = _count_width(pieces)
    if width > MAX_LINES * columns or _find_break(pieces, columns) is None:
        return None
    # Each cue costs 1, so that few are made; a short cue or a break inside a clause costs more.
    short = max(0.0, 0.5 - width / (MAX_LINES * columns))
    inside = 0.0 if final or pieces[-1].ends else 0.6
    return 1.0 + 2.0 * short + inside


def _count_width(pieces: Sequence[Piece]) -> int:
    return sum([piece.cells for piece in pieces]) - pieces[0].spaced


def _find_break(pieces: Sequence[Piece], columns: int) -> int | None:
    """Return the index at which the second line begins (the number of pieces: one line), or None if they do not fit."""
    width = _count_width(pieces)
    if width <= columns:
        return len(pieces)
    best, lowest = None, MAX_COST
    above = -int(pieces[0].spaced)
    for offset in range(1, len(pieces)):
        above += pieces[offset - 1].cells
        below = width - above - pieces[offset].spaced
        if above > columns:
            break
        # Prefer balanced lines; a break after a clause makes up for a third of a line of imbalance.
        cost = abs(above - below) - (columns / 3 if pieces[offset - 1].ends else 0)
        if below <= columns and cost < lowest:
            best, lowest = offset, cost
    return best


def _build_cue(pieces: Sequence[Piece], origin: float, columns: int) -> Cue:
    offset = _find_break(pieces, columns)
    if offset is None:
        raise ValueError("the pieces do not fit")  # `_split_cues` only passes pieces that fit
    rows = [row for row in (pieces[:offset], pieces[offset:]) if row]
    words = tuple(
        CueWord(piece.text, origin + piece.start, origin + piece.end, number)
        for number, row in enumerate(rows)
        for piece in row
    )
    lines = tuple(_join_text(row) for row in rows)
    return Cue(words[0].start, words[-1].end, lines, words, is_rtl("".join(lines)))


def _join_text(pieces: Sequence[Piece]) -> str:
    return "".join((" " if piece.spaced and index else "") + piece.text for index, piece in enumerate(pieces))


def _extend_cues(cues: Sequence[Cue], timeline: Timeline) -> tuple[Cue, ...]:
    """Extend each cue to MIN_SECONDS, but never into the next one or past the video's end."""
    spread: list[Cue] = []
    for index, cue in enumerate(cues):
        limit = cues[index + 1].start if index + 1 < len(cues) else float(timeline.seconds)
        end = min(max(cue.end, cue.start + MIN_SECONDS), limit)
        if end > cue.start:
            spread.append(replace(cue, end=end))
    return tuple(spread)
