"""Media made by ffmpeg, and a meter for what comes out."""

from __future__ import annotations

import re
import wave

import numpy as np
import pytest

from shared.processes import ffmpeg


@pytest.fixture
def make(tmp_path):
    """Give a function that writes a file by ffmpeg: its name, then ffmpeg's arguments."""

    def run(name, *arguments):
        ffmpeg.run(ffmpeg.command(*arguments, str(tmp_path / name)), cwd=tmp_path)
        return tmp_path / name

    return run


@pytest.fixture
def meter(tmp_path):
    """Give a function that measures a file: integrated loudness in LUFS and true peak in dBTP."""

    def measure(path):
        argv = [ffmpeg.ffmpeg_path(), "-hide_banner", "-nostats", "-i", str(path), "-af", "ebur128=peak=true"]
        said = ffmpeg.run([*argv, "-vn", "-f", "null", "-"], cwd=tmp_path).stderr
        summary = said[said.rindex("Summary:") :]
        loudness = re.search(r"I:\s+(-?[\d.]+) LUFS", summary)
        peak = re.search(r"Peak:\s+(-?[\d.]+|-inf) dBFS", summary)
        return float(loudness[1]), float(peak[1])

    return measure


@pytest.fixture
def heard(tmp_path):
    """Give a function that decodes the sound of a file as a player would: stereo samples at 48 kHz."""

    def decode(path):
        target = tmp_path / "heard.wav"
        ffmpeg.run(
            ffmpeg.command(
                "-i", str(path), "-vn", "-c:a", "pcm_s16le", "-ar", "48000", "-ac", "2", str(target)
            ),
            cwd=tmp_path,
        )
        with wave.open(str(target), "rb") as file:
            return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2) / 32768

    return decode
