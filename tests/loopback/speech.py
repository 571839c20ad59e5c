"""An OpenAI-compatible speech server on loopback: each word is a tone, and transcription recognises the tones."""

from __future__ import annotations

import io
import json
import subprocess
import threading
import wave
from email.parser import BytesParser
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.processes.ffmpeg import ffmpeg_path
from tests.loopback.server import Loopback

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.loopback.server import Asked, Handler

RATE = 24_000
GAP, EDGE = 0.06, 0.25  # seconds of silence between words, and at both ends
QUIET = 400


class LoopbackSpeech(Loopback):
    """The server. `spoken` is what it was asked to say, in order; `most` how many calls ran at once."""

    def __init__(self) -> None:
        super().__init__()
        self.knows = {"wav", "mp3"}
        self.spoken: list[str] = []
        self.most = 0
        self.delay: Callable[[], None] = lambda: None
        self._running = 0
        self._lock = threading.Lock()

    @property
    def base_url(self) -> str:
        """The address that clients expect."""
        return f"{self.root}/v1"

    def serve(self, handler: Handler, asked: Asked) -> None:
        """Speak or transcribe."""
        if asked.path == "/v1/audio/speech":
            self._speak(handler, asked.body)
        elif asked.path == "/v1/audio/transcriptions":
            handler.answer(200, json.dumps(self._transcribe(asked)).encode())
        else:
            handler.answer(404, b'{"error": {"message": "Not found"}}')

    def _speak(self, handler: Handler, body: dict[str, Any]) -> None:
        form = body.get("response_format", "mp3")
        if form not in self.knows:
            words = f"response_format {form} is not supported"
            handler.answer(400, json.dumps({"error": {"message": words}}).encode())
            return
        with self._lock:
            self.spoken.append(body["input"])
            self._running += 1
            self.most = max(self.most, self._running)
        self.delay()
        samples = tones(body["input"], body.get("speed", 1.0))
        with self._lock:
            self._running -= 1
        if form == "pcm":
            handler.answer(200, samples.tobytes(), "audio/pcm;rate=24000")
        elif form == "mp3":
            handler.answer(200, mp3(samples), "audio/mpeg")
        else:
            handler.answer(200, wav(samples), "audio/wav")

    def _transcribe(self, asked: Asked) -> dict[str, Any]:
        parts = multipart(asked)
        spans = bursts(parts["file"])
        text = next((each for each in reversed(self.spoken) if len(each.split()) == len(spans)), "")
        words = [
            {"word": word.strip(".,!?"), "start": start, "end": end}
            for word, (start, end) in zip(text.split(), spans, strict=False)
        ]
        return {"task": "transcribe", "language": "english", "text": text, "words": words}


def tones(text: str, speed: float = 1.0) -> np.ndarray:
    """Return a sound with one tone a word, as long as the word has letters."""
    pieces = [np.zeros(round(EDGE * RATE), np.int16)]
    for index, word in enumerate(text.split()):
        length = round((0.05 + 0.03 * len(word)) / speed * RATE)
        time = np.arange(length) / RATE
        pieces.append((12_000 * np.sin(2 * np.pi * (300 + 40 * (index % 5)) * time)).astype(np.int16))
        pieces.append(np.zeros(round(GAP * RATE), np.int16))
    pieces.append(np.zeros(round(EDGE * RATE), np.int16))
    return np.concatenate(pieces)


def wav(samples: np.ndarray) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return target.getvalue()


def mp3(samples: np.ndarray) -> bytes:
    argv = [ffmpeg_path(), "-v", "error", "-f", "wav", "-i", "pipe:0", "-f", "mp3", "pipe:1"]
    return subprocess.run(argv, input=wav(samples), capture_output=True, check=True).stdout


def bursts(sound: bytes) -> list[tuple[float, float]]:
    """Return when each tone of a WAV file begins and ends, in seconds."""
    with wave.open(io.BytesIO(sound)) as file:
        rate = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    loud = np.flatnonzero(np.abs(samples.astype(int)) > QUIET)
    edges = np.flatnonzero(np.diff(loud) > 0.03 * rate)
    starts = loud[np.concatenate([[0], edges + 1])] if len(loud) else []
    ends = loud[np.concatenate([edges, [len(loud) - 1]])] if len(loud) else []
    return [(float(start / rate), float(end / rate)) for start, end in zip(starts, ends, strict=True)]


def multipart(asked: Asked) -> dict[str, bytes]:
    """Read a form as a browser sends it."""
    head = f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + asked.content)
    return {
        str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True)
        for part in message.get_payload()
    }
