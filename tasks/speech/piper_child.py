"""Speaks with Piper's voices: the program that `tasks.speech.piper` runs as a child with limits.

Reads a JSON request from stdin, writes a WAV file a line at the rate of its voice. Piper is an extra of the
installation; this program alone imports it.
"""

from __future__ import annotations

import json
import sys
import wave
from functools import cache
from typing import Any

from piper import PiperVoice, SynthesisConfig  # type: ignore[import-not-found]  # an extra


@cache
def load_voice(model: str) -> Any:
    """Load a voice once."""
    return PiperVoice.load(model)


def write(line: dict[str, Any]) -> None:
    """Speak a line to its file."""
    pace = SynthesisConfig(length_scale=1.0 / line["speed"])
    with wave.open(line["target"], "wb") as file:
        load_voice(line["model"]).synthesize_wav(line["text"], file, syn_config=pace)


if __name__ == "__main__":
    for each in json.load(sys.stdin):
        write(each)
