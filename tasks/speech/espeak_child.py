"""The child process of `espeak`: speaks with espeak-ng's library, under limits.

The library has one global state, and its C code reads any client's text: here a crash or a hang costs one narration and
not a worker. The file imports nothing of ours, so that it starts fast and needs no import path.

Reads a JSON request from stdin; writes a WAV file for each line, and a JSON report to the path in the request.
"""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import sys
import wave
from collections import deque
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator

Samples = NDArray[np.float32]

RATE = 48_000
SYNCHRONOUS = 2
UTF8_PLAIN = 1  # UTF-8; SSML and [[phonemes]] in a client's text have no effect
RATE_PARAMETER = 1
WORD_EVENT = 1
SILENCE_LEVEL = 48  # of 32768: -57 dB, below it is silence
MARGIN = 0.02  # seconds of silence kept around speech
GRAIN = 0.005  # seconds: precision of a word's end
TAPS = 96  # of the low-pass at the input's rate: the images of speech are 80 dB down
FADE = 0.004
HEADROOM = np.float32(0.85)  # some voices reach full scale, and resampling goes a little beyond


class Event(ctypes.Structure):
    """`espeak_EVENT` of speak_lib.h; its last member is a union of eight bytes."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))


class Spoken(NamedTuple):
    """A spoken utterance: 16-bit samples at RATE, and for each word its place in the text, start and end in seconds."""

    sound: bytes
    heard: list[tuple[int, float, float]]


class SpeakingFork(NamedTuple):
    """A fork that speaks one utterance, and the pipe that it writes the result to."""

    pid: int
    pipe: int

    def result(self) -> Spoken:
        """Wait for the fork and return what it spoke."""
        with open(self.pipe, "rb") as pipe:  # noqa: PTH123  (a descriptor has no path)
            answer = pipe.read()
        if os.waitpid(self.pid, 0)[1]:
            raise SystemExit("espeak-ng cannot speak this")
        spoken: Spoken = pickle.loads(answer)  # noqa: S301  (written by our own fork)
        return spoken


class Synthesizer:
    """The library with a voice loaded; a fork of this process speaks each text.

    The library's state changes with every text, and its noise is seeded by the clock: without the fork, the same text
    would sound different each time.
    """

    def __init__(self, library: str, data: str) -> None:
        self._library = ctypes.CDLL(library)
        self.rate = int(self._library.espeak_Initialize(SYNCHRONOUS, 0, data.encode(), 0))
        if self.rate <= 0:
            raise SystemExit("espeak-ng cannot read its data")
        self._loaded_voice: tuple[str, int] | None = None
        self._sound = bytearray()
        self._events: list[tuple[int, int]] = []
        self._callback = CALLBACK(
            self._on_events
        )  # keeps it from being collected: the library's reference is invisible to Python
        self._library.espeak_SetSynthCallback(self._callback)

    def start(self, text: str, voice: str, pace: int) -> SpeakingFork:
        """Fork a process that speaks the text."""
        self._choose(voice, pace)
        resampling_matrix(self.rate)  # computed once here instead of in every fork
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(reading)
                with open(writing, "wb") as pipe:  # noqa: PTH123  (a descriptor has no path)
                    pickle.dump(finish_utterance(*self._speak(text), self.rate), pipe)
                os._exit(0)
            finally:
                os._exit(1)  # the fork must never run on in the parent's code
        os.close(writing)
        return SpeakingFork(pid, reading)

    def _choose(self, voice: str, pace: int) -> None:
        """Load a voice with its dictionary, which takes longer than speaking a sentence."""
        if self._loaded_voice == (voice, pace):
            return
        failed = self._library.espeak_SetVoiceByName(voice.encode()) or self._library.espeak_SetParameter(
            RATE_PARAMETER, pace, 0
        )
        if failed:
            raise SystemExit(f"espeak-ng has no voice {voice}")
        self._loaded_voice = (voice, pace)

    def _speak(self, text: str) -> tuple[NDArray[np.int16], list[tuple[int, int]]]:
        """Return the samples, and for each word its place in the text and its first sample."""
        ctypes.CDLL(None).srand(1)
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        data = ctypes.create_string_buffer(text.encode())
        failed = self._library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, 1, 0, UTF8_PLAIN, None, None)
        if failed:
            os._exit(1)
        return np.frombuffer(self._sound, np.int16), self._events

    def _on_events(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self._sound += ctypes.string_at(samples, 2 * count)
        index = 0
        while events[index].type != 0:
            event = events[index]
            if event.type == WORD_EVENT:
                self._events.append((event.text_position - 1, event.sample))
            index += 1
        return 0


@cache
def resampling_matrix(rate: int) -> tuple[int, int, Samples]:
    """Return inputs and outputs of one period, and the matrix that turns the inputs of a period into its outputs.

    The filter is a windowed sinc below the lower Nyquist frequency. As the rates are integers, its phases repeat.
    """
    common = int(np.gcd(rate, RATE))
    inputs, outputs = rate // common, RATE // common
    positions = np.arange(outputs) * (inputs / outputs)
    distance = np.arange(inputs + TAPS)[:, None] - TAPS // 2 - positions[None, :]
    cutoff = 0.92 * min(1.0, RATE / rate)
    inside = np.clip(1 - (2 * distance / TAPS) ** 2, 0, 1)
    window = np.where(inside > 0, np.i0(9.0 * np.sqrt(inside)), 0)  # Kaiser's
    matrix = np.sinc(cutoff * distance) * window
    return inputs, outputs, (matrix / matrix.sum(axis=0)).astype(np.float32)


def resample(samples: NDArray[np.int16], period: tuple[int, int, Samples]) -> Samples:
    """Return the samples at RATE; the first output coincides with the first sample."""
    inputs, outputs, matrix = period
    blocks = -(-len(samples) // inputs)
    padded = np.zeros((blocks + 1) * inputs + TAPS, np.float32)
    padded[TAPS // 2 : TAPS // 2 + len(samples)] = samples
    rows = np.lib.stride_tricks.sliding_window_view(padded, inputs + TAPS)[::inputs][:blocks]
    convolved = np.concatenate(
        [rows[at : at + 2000] @ matrix for at in range(0, blocks, 2000)] or [padded[:0]]
    )
    count = round(len(samples) * outputs / inputs)
    result: Samples = convolved.reshape(-1)[:count]
    return result


def trim(samples: NDArray[np.int16], rate: int) -> tuple[int, int]:
    """Return the first and last audible sample, with a margin."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > SILENCE_LEVEL)
    if not len(loud):
        return 0, 0
    margin = int(MARGIN * rate)
    return max(0, int(loud[0]) - margin), min(len(samples), int(loud[-1]) + 1 + margin)


def word_ends(samples: NDArray[np.int16], begins: list[int], rate: int) -> list[int]:
    """Return where each word falls silent: the last audible grain before the next word."""
    grain = int(GRAIN * rate)
    peaks = np.abs(samples[: len(samples) // grain * grain].astype(np.int32)).reshape(-1, grain).max(axis=1)
    found = []
    for begin, following in pairwise([*begins, len(samples)]):
        loud = np.flatnonzero(peaks[begin // grain : following // grain] > SILENCE_LEVEL)
        end = (begin // grain + int(loud[-1]) + 1) * grain if len(loud) else following
        found.append(min(end, following))
    return found


def finish_utterance(samples: NDArray[np.int16], events: list[tuple[int, int]], rate: int) -> Spoken:
    """Trim, resample and fade an utterance."""
    begin, end = trim(samples, rate)
    trimmed = samples[begin:end]
    begins = [min(max(at - begin, 0), len(trimmed)) for _, at in events]
    closes = word_ends(trimmed, begins, rate) if len(trimmed) else begins
    heard = [
        (place, first / rate, last / rate)
        for (place, _), first, last in zip(events, begins, closes, strict=True)
    ]
    sound = fade_ends(resample(trimmed, resampling_matrix(rate))) * HEADROOM
    return Spoken(np.clip(np.rint(sound), -32768, 32767).astype("<i2").tobytes(), heard)


def fade_ends(sound: Samples) -> Samples:
    """Return the sound with its first and last 4 ms faded, so that joints do not click."""
    ramp = np.linspace(0, 1, min(int(FADE * RATE), len(sound)), dtype=np.float32)
    sound[: len(ramp)] *= ramp
    sound[len(sound) - len(ramp) :] *= ramp[::-1]
    return sound


def speak_ahead(synthesizer: Synthesizer, lines: list[dict[str, Any]]) -> Iterator[Spoken]:
    """Yield every utterance of every line in order, while later ones are spoken on the other cores."""
    running: deque[SpeakingFork] = deque()
    for line in lines:
        for utterance in line["utterances"]:
            running.append(synthesizer.start(utterance["text"], line["voice"], line["pace"]))
            if len(running) > len(os.sched_getaffinity(0)):
                yield running.popleft().result()
    while running:
        yield running.popleft().result()


def write(line: dict[str, Any], spoken: Iterator[Spoken]) -> dict[str, Any]:
    """Write the line's file; return its samples, and the word times of each utterance."""
    written, heard = 0, list[list[tuple[int, float, float]]]()
    with wave.open(line["target"], "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        for utterance in line["utterances"]:
            sound, words = next(spoken)
            start = written / RATE
            heard.append([(place, start + first, start + last) for place, first, last in words])
            pause = bytes(2 * round(utterance["pause"] * RATE))
            for part in (sound, pause):
                file.writeframes(part)
                written += len(part) // 2
        if not written:  # a text without anything to speak
            written = RATE // 10
            file.writeframes(bytes(2 * written))
    return {"samples": written, "heard": heard}


if __name__ == "__main__":
    request = json.load(sys.stdin)
    speaker = Synthesizer(request["library"], request["data"])
    utterances = speak_ahead(speaker, request["lines"])
    Path(request["report"]).write_text(json.dumps([write(line, utterances) for line in request["lines"]]))
