"""Chooses the H.264 encoder: the hardware encoder named in the settings if it works on this machine, else x264."""

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
def choose_encoder(encoder: str | None, ffmpeg: str | None = None) -> str:
    """Return the named encoder if it can encode here, else x264. The answer is cached for the process."""
    if encoder in encoding.HARDWARE and can_encode(encoder, ffmpeg):
        return encoder
    if encoder not in (None, encoding.SOFTWARE):
        log.warning("encoder_unusable", extra={"encoder": encoder})
    return encoding.SOFTWARE


def can_encode(encoder: str, ffmpeg: str | None = None) -> bool:
    """Return whether the encoder encodes a few test frames here."""
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
