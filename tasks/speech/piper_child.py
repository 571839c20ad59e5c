"""The child process of `piper`: speaks with Piper's voices, under limits.

Reads a JSON request from stdin and writes a WAV file for each line, at its voice's own rate. Piper is an extra of the
installation, which only this file imports.
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
