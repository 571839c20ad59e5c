"""Decodes one picture to raw RGBA in a child process with limits, for `tasks.video.picture.images`.

Its decoders are large and read hostile input, so it imports none of this project's modules and connects to nothing.
"""

from __future__ import annotations

import base64
import json
import sys
import warnings
from pathlib import Path
from typing import Any


def main(request: dict[str, Any]) -> dict[str, Any]:
    """Write the picture upright, scaled down to no less than `min_size`; return its size and ICC profile."""
    from PIL import Image, ImageOps  # noqa: PLC0415  (the limits hold from the first import on)

    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = request["max_pixels"]
    if request["format"] == "HEIF":
        import pillow_heif  # noqa: PLC0415  (no other picture needs its decoder)

        pillow_heif.register_heif_opener(thumbnails=False)
    with Image.open(request["path"], formats=[request["format"]]) as image:
        profile = image.info.get("icc_profile")
        upright = ImageOps.exif_transpose(image).convert("RGBA")
    width, height = upright.size
    scale = min(1.0, max(request["min_size"][0] / width, request["min_size"][1] / height))
    if scale < 1.0:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        upright = upright.resize(size, Image.Resampling.BOX)
    Path(request["target"]).write_bytes(upright.tobytes())
    return {"size": upright.size, "profile": base64.b64encode(profile).decode() if profile else None}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.loads(sys.argv[1]))))
