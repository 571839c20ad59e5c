"""Makes media files with ffmpeg for a test."""

from __future__ import annotations

import pytest

from shared.processes import ffmpeg

PICTURE = ("-f", "lavfi", "-i", "testsrc=s=320x240:r=25:d=1")
SOUND = ("-f", "lavfi", "-i", "sine=d=1")


@pytest.fixture
def make(tmp_path):
    """Give a function that writes a file by ffmpeg: its name, then the arguments between input and output."""

    def run(name, *arguments, picture=False, sound=False):
        inputs = [*(PICTURE if picture else ()), *(SOUND if sound else ())]
        argv = ffmpeg.command(*inputs, *arguments, str(tmp_path / name))
        ffmpeg.run(argv, cwd=tmp_path)
        return tmp_path / name

    return run
