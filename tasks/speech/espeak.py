"""The embedded engine espeak-ng: no network, many languages, exact word times.

The library runs in a child process, `espeak_child`: one for all lines of a call, since a process takes 0.2 s to start and
a minute of speech 0.05 s to make.
"""

from __future__ import annotations

import json
import sys
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.errors import RenderFailed, RenderTimeout, SpeechFailed
from shared.processes import ffmpeg
from shared.script import voices
from tasks.speech.engine import SAMPLE_RATE, Line, Sentence, Speech, SpokenSentence, WordTime
from tasks.speech.text_normalization import normalize
from tasks.speech.utterances import Utterance, split_utterances
from tasks.speech.word_alignment import align_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.script.values import Voice

NAME = "espeak-ng"
# Raise it when the same text sounds different: else older sentences come from the store.
REVISION = 3
WORDS_A_MINUTE = 160  # at speed 1: a narrator's pace, not a screen reader's
WORDS_A_MINUTE_RANGE = (80, 450)  # espeak-ng's own limits
MAX_MEMORY = 2 << 30
MAX_FILE_BYTES = 1 << 30


class Espeak:
    """The embedded engine. It is free, and the same text always sounds the same."""

    name = NAME
    is_paid = False
    transcribes = False

    def voice_id(self, voice: Voice, language: str) -> str | None:
        """Return the library's name of the voice, else of the language's own voice."""
        found = (
            voices.find_voice(voice.name) if voice.name is not None else voices.voice_for_language(language)
        )
        return found.file if found else None

    def cache_identity(self, voice: Voice, language: str) -> tuple[str | float, ...]:
        """Return the library's version, the voice and its speed."""
        return (NAME, _version(), REVISION, self.voice_id(voice, language) or "", voice.speed)

    def speak(self, sentences: Sequence[Sentence], *, stop: Callable[[], bool]) -> tuple[SpokenSentence, ...]:
        """Speak all sentences in one child process, which uses every core."""
        if not sentences:
            return ()
        lines = [Line(each.text, each.language, each.target, each.voice) for each in sentences]
        whole = [Utterance(each.text, tuple(range(len(each.text))), 0.0) for each in sentences]
        spoken = [(normalize(each, _language(line)),) for each, line in zip(whole, lines, strict=True)]
        requests = [_request(line, _voice(line), each) for line, each in zip(lines, spoken, strict=True)]
        characters = sum(len(each.text) for each in sentences)
        reports = _run_child(requests, sentences[0].target.parent, characters, stop)
        return tuple(
            SpokenSentence(int(report["samples"]), tuple(_word_times(each, report)))
            for each, report in zip(spoken, reports, strict=True)
        )


@cache
def _version() -> str:
    return version("espeakng-loader")


def narrate(lines: Sequence[Line], *, stop: Callable[[], bool] | None = None) -> tuple[Speech, ...]:
    """Speak the lines, each to its file; raise SpeechFailed."""
    if not lines:
        return ()
    chosen = [_voice(line) for line in lines]
    spoken = [
        tuple(normalize(each, _language(line)) for each in split_utterances(line.text, _language(line)))
        for line in lines
    ]
    requests = [_request(*each) for each in zip(lines, chosen, spoken, strict=True)]
    reports = _run_child(requests, lines[0].target.parent, sum(len(line.text) for line in lines), stop)
    return tuple(
        _speech(line, utterances, report)
        for line, utterances, report in zip(lines, spoken, reports, strict=True)
    )


def _voice(line: Line) -> str:
    """Return the library's name of the line's voice, else of the language's own."""
    if line.voice.name is not None:
        found = voices.find_voice(line.voice.name)
        if found is None:
            raise SpeechFailed(f"There is no voice “{line.voice.name[:64]}”.")
    else:
        found = voices.voice_for_language(line.language)
        if found is None:
            raise SpeechFailed(f"No voice speaks the language “{line.language[:35]}”.")
    return found.file


def _language(line: Line) -> str:
    """Return the language of the line's voice, whatever language the text is in."""
    found = voices.find_voice(line.voice.name) if line.voice.name is not None else None
    return found.language if found else line.language


def _request(line: Line, voice: str, utterances: Sequence[Utterance]) -> dict[str, Any]:
    speed = line.voice.speed
    slowest, fastest = WORDS_A_MINUTE_RANGE
    return {
        "voice": voice,
        "pace": min(max(round(WORDS_A_MINUTE * speed), slowest), fastest),
        "target": str(line.target.resolve()),
        "utterances": [{"text": each.spoken, "pause": each.pause / speed} for each in utterances],
    }


def _run_child(
    requests: list[dict[str, Any]], folder: Path, characters: int, stop: Callable[[], bool] | None
) -> list[dict[str, Any]]:
    wall = 30 + characters / 200
    limits = ffmpeg.Limits(
        wall=wall, stall=wall, cpu=int(wall), memory=MAX_MEMORY, file=MAX_FILE_BYTES, nice=0
    )
    child = Path(__file__).with_name("espeak_child.py")
    with tempfile.TemporaryDirectory(prefix="speech-", dir=folder) as work:
        report = Path(work).resolve() / "report.json"
        request = {
            "library": str(voices.espeak_library()),
            "data": str(voices.espeak_data_folder()),
            "report": str(report),
            "lines": requests,
        }
        try:
            ffmpeg.run(
                [sys.executable, "-I", str(child)],
                cwd=Path(work),
                limits=limits,
                stdin=iter([json.dumps(request).encode()]),
                stop=stop,
                env={"OPENBLAS_NUM_THREADS": "1"},  # else OpenBLAS starts its threads again after every fork
            )
        except RenderTimeout as error:
            raise SpeechFailed("Speaking the text took too long.") from error
        except RenderFailed as error:
            raise SpeechFailed("The text could not be spoken.") from error
        reports: list[dict[str, Any]] = json.loads(report.read_text())
        return reports


def _speech(line: Line, utterances: Sequence[Utterance], report: dict[str, Any]) -> Speech:
    """Return the narration, with the word times at their places in the line's text."""
    samples = int(report["samples"])
    return Speech(
        line.target,
        samples,
        align_words(line.text, _word_times(utterances, report), samples / SAMPLE_RATE),
        NAME,
    )


def _word_times(utterances: Sequence[Utterance], report: dict[str, Any]) -> list[WordTime]:
    return [
        WordTime(utterance.places[min(max(int(place), 0), len(utterance.places) - 1)], start, end)
        for utterance, events in zip(utterances, report["heard"], strict=True)
        for place, start, end in events
    ]
