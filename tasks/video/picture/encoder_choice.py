"""Chooses the encoder: a machine's own where the set-up names one and it works here, else x264."""

from __future__ import annotations

import logging
import tempfile
from functools import cache
from pathlib import Path

from shared.errors import RenderFailed, RenderStalled, RenderTimeout
from shared.processes import ffmpeg as process
from tasks.video.picture import encoding

log = logging.getLogger(__name__)

SIZE, FPS = (320, 180), 25
LIMITS = process.Limits(wall=20, stall=20)


@cache
def choose_encoder(named: str | None, ffmpeg: str | None = None) -> str:
    """Return the encoder to use: the named one if a few frames come out of it, else x264."""
    if named in encoding.HARDWARE and can_encode(named, ffmpeg):
        return named
    if named not in (None, encoding.SOFTWARE):
        log.warning("encoder_unusable", extra={"encoder": named})
    return encoding.SOFTWARE


def can_encode(encoder: str, ffmpeg: str | None = None) -> bool:
    """Say whether a few frames can be encoded here."""
    options = encoding.encoder_options(SIZE, FPS, "standard", encoder)
    flags = [part for name, value in options.items() for part in (f"-{name}", str(value))]
    upload = encoding.UPLOADS.get(encoder)
    filters = ["-vf", f"format={upload},hwupload"] if upload else []
    source = ["-f", "lavfi", "-i", f"testsrc2=s={SIZE[0]}x{SIZE[1]}:r={FPS}:d=0.2"]
    with tempfile.TemporaryDirectory(prefix="scenemill-encoder-") as folder:
        argv = process.command(
            *encoding.device_options(encoder), *source, *filters, *flags, "file:probe.mp4", ffmpeg=ffmpeg
        )
        try:
            process.run(argv, cwd=Path(folder), limits=LIMITS)
        except (RenderFailed, RenderStalled, RenderTimeout):
            return False
        return (Path(folder) / "probe.mp4").stat().st_size > 0
