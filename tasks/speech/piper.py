"""Piper's neural voices, where its package is installed and the settings name voice files. No network.

Piper reports no word times; they are estimated from syllables.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import RenderFailed, RenderTimeout, SpeechFailed
from shared.processes import ffmpeg
from tasks.speech.decoding import NoAudibleSpeech, decode_to_wav
from tasks.speech.engine import SAMPLE_RATE, Sentence, SpokenSentence
from tasks.speech.word_timing import times_by_syllables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.script.values import Voice
    from shared.script.voices import NamedVoice

PREFIX = "piper:"
REVISION = 1
MAX_MEMORY = 6 << 30  # of address space: ONNX Runtime reserves far more than it uses


class Piper:
    """The configured voice files."""

    name = "piper"
    is_paid = False
    transcribes = False

    def __init__(self, voices: Sequence[NamedVoice]) -> None:
        self._voices = voices

    def voice_id(self, voice: Voice, language: str) -> str | None:
        """Return the file of the named voice, else of the first voice of the language."""
        if voice.name is not None:
            name = voice.name.removeprefix(PREFIX) if voice.name.startswith(PREFIX) else None
            return next((each.file for each in self._voices if each.name == name), None)
        return next((each.file for each in self._voices if each.speaks(language)), None)

    def cache_identity(self, voice: Voice, language: str) -> tuple[str | float, ...]:
        """Return the voice file's name and size, and the speed."""
        file = Path(self.voice_id(voice, language) or "")
        size = file.stat().st_size if file.is_file() else 0
        return ("piper", REVISION, file.name, size, voice.speed)

    def speak(self, sentences: Sequence[Sentence], *, stop: Callable[[], bool]) -> tuple[SpokenSentence, ...]:
        """Speak all sentences in one child process, which loads each voice once."""
        if not sentences:
            return ()
        with tempfile.TemporaryDirectory(prefix="piper-", dir=sentences[0].target.parent) as work:
            files = [Path(work).resolve() / f"{index}.wav" for index in range(len(sentences))]
            self._run(list(zip(sentences, files, strict=True)), Path(work), stop)
            return tuple(
                _spoken_sentence(each, file, stop) for each, file in zip(sentences, files, strict=True)
            )

    def _run(self, lines: Sequence[tuple[Sentence, Path]], work: Path, stop: Callable[[], bool]) -> None:
        request = [
            {
                "model": self.voice_id(each.voice, each.language),
                "text": each.text.replace("[[", "[ ["),  # else Piper would read it as phonemes
                "speed": each.voice.speed,
                "target": str(file),
            }
            for each, file in lines
        ]
        wall = 60 + sum(len(each.text) for each, _ in lines) / 20
        limits = ffmpeg.Limits(wall=wall, stall=wall, cpu=int(wall) * 4, memory=MAX_MEMORY, nice=0)
        child = Path(__file__).with_name("piper_child.py")
        try:
            ffmpeg.run(
                [sys.executable, "-I", str(child)],
                cwd=work,
                limits=limits,
                stdin=iter([json.dumps(request).encode()]),
                stop=stop,
            )
        except RenderTimeout as error:
            raise SpeechFailed("Speaking the text took too long.") from error
        except RenderFailed as error:
            raise SpeechFailed("The text could not be spoken.") from error


def _spoken_sentence(sentence: Sentence, file: Path, stop: Callable[[], bool]) -> SpokenSentence:
    try:
        samples = decode_to_wav(file.read_bytes(), sentence.target, stop=stop)
    except NoAudibleSpeech as error:
        raise SpeechFailed("The text could not be spoken.") from error
    return SpokenSentence(samples, times_by_syllables(sentence.text, samples / SAMPLE_RATE))
