"""The schema of a video's output: aspect, resolution, frame rate, quality, formats and sidecars."""

from __future__ import annotations

from typing import Any

from marshmallow import post_load

from shared.script.schema.containers import StrictList
from shared.script.schema.fields import Choice
from shared.script.schema.loading import StrictSchema
from shared.script.values import Output

ASPECTS = ("16:9", "9:16", "1:1", "4:5", "4:3", "21:9")
RESOLUTIONS = ("360p", "480p", "720p", "1080p", "1440p", "2160p")
FPS = (24, 25, 30, 50, 60)
QUALITIES = ("draft", "standard", "high")
FORMATS = ("mp4", "webm", "hls", "gif", "mp3")
SIDECARS = ("srt", "vtt", "poster", "storyboard", "script")


class OutputSchema(StrictSchema):
    """How a video is encoded. The script does not say."""

    aspect = Choice(ASPECTS, default="16:9")
    resolution = Choice(RESOLUTIONS, default="1080p", description="The short side.")
    fps = Choice(FPS, default=30)
    quality = Choice(QUALITIES, default="standard")
    formats = StrictList(Choice(FORMATS), minimum=1, maximum=len(FORMATS), unique=True, default=("mp4",))
    sidecars = StrictList(
        Choice(SIDECARS), maximum=len(SIDECARS), unique=True, default=("srt", "vtt", "poster")
    )

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Output:
        return Output(**data)


def dump_output(output: Output) -> dict[str, Any]:
    """Return the JSON that loads as `output`."""
    return {
        "aspect": output.aspect,
        "resolution": output.resolution,
        "fps": output.fps,
        "quality": output.quality,
        "formats": list(output.formats),
        "sidecars": list(output.sidecars),
    }
