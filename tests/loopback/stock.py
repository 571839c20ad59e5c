"""Pexels and Pixabay on loopback, following their documentation, and the https server of their files."""

from __future__ import annotations

import io
import json
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from shared.processes.ffmpeg import ffmpeg_path
from tests.loopback.server import Loopback

if TYPE_CHECKING:
    import ssl

    from tests.loopback.server import Asked, Handler


class LoopbackFiles(Loopback):
    """Pictures and clips by their path: `/images/7-1920x1080.jpg`, `/clips/7-640x360.mp4`."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(context)

    def serve(self, handler: Handler, asked: Asked) -> None:
        kind, name = asked.path.strip("/").split("/")
        number, _, size = name.partition(".")[0].partition("-")
        width, height = (int(part) for part in size.split("x"))
        if kind == "clips":
            handler.answer(200, clip(width, height), "video/mp4")
        else:
            handler.answer(200, picture(int(number), width, height), "image/jpeg")


class LoopbackStock(Loopback):
    """Both providers' search. `photos` and `clips` are how many of each it has for a query."""

    def __init__(self, files: LoopbackFiles) -> None:
        super().__init__()
        self.files = files
        self.photos, self.clips = 3, 2
        self.size = (4000, 2667)

    def serve(self, handler: Handler, asked: Asked) -> None:
        answers = {
            "/v1/search": self._pexels_photos,
            "/videos/search": self._pexels_clips,
            "/api/": self._pixabay_photos,
            "/api/videos/": self._pixabay_clips,
        }
        if asked.path not in answers:
            handler.answer(404, b"{}")
        elif asked.path.startswith("/api") and asked.query.get("key") != "bay-key":
            handler.answer(400, b"[ERROR 400] Invalid or missing API key", "text/plain")
        elif not asked.path.startswith("/api") and asked.headers.get("authorization") != "pex-key":
            handler.answer(401, b'{"error": "unauthorized"}')
        else:
            handler.answer(200, json.dumps(answers[asked.path](asked)).encode())

    def _pexels_photos(self, asked: Asked) -> dict[str, Any]:
        width, height = self.size
        if asked.query["orientation"] == "portrait":
            width, height = height, width
        found = [self._pexels_photo(number, width, height) for number in range(1, self.photos + 1)]
        return {"page": 1, "per_page": 30, "photos": found, "total_results": len(found)}

    def _pexels_photo(self, number: int, width: int, height: int) -> dict[str, Any]:
        factor = min(1880 / width, 1300 / height)
        large = f"{int(width * factor)}x{int(height * factor)}"
        return {
            "id": number,
            "width": width,
            "height": height,
            "url": f"https://www.pexels.com/photo/{number}/",
            "photographer": f"Ada {number}",
            "photographer_url": f"https://www.pexels.com/@ada{number}",
            "src": {
                "original": f"{self.files.root}/images/{number}-{width}x{height}.jpg",
                "large2x": f"{self.files.root}/images/{number}-{large}.jpg",
            },
            "alt": "",
        }

    def _pexels_clips(self, _: Asked) -> dict[str, Any]:
        def files(number: int) -> list[dict[str, Any]]:
            return [
                {
                    "id": number * 10 + at, "quality": "hd", "file_type": "video/mp4", "fps": 25.0,
                    "width": width, "height": height,
                    "link": f"{self.files.root}/clips/{number}-{width}x{height}.mp4",
                }
                for at, (width, height) in enumerate([(1280, 720), (640, 360)])
            ]  # fmt: skip

        videos = [
            {
                "id": number, "width": 1280, "height": 720, "duration": 2,
                "url": f"https://www.pexels.com/video/{number}/",
                "user": {"id": 1, "name": "Grace", "url": "https://www.pexels.com/@grace"},
                "video_files": files(number),
            }
            for number in range(1, self.clips + 1)
        ]  # fmt: skip
        return {"page": 1, "per_page": 30, "videos": videos, "total_results": len(videos)}

    def _pixabay_photos(self, _: Asked) -> dict[str, Any]:
        hits = [
            {
                "id": number + 100, "pageURL": f"https://pixabay.com/photos/{number + 100}/",
                "imageWidth": 4000, "imageHeight": 2250, "user": "Joan", "user_id": 48777,
                "largeImageURL": f"{self.files.root}/images/{number + 100}-1280x720.jpg",
            }
            for number in range(1, self.photos + 1)
        ]  # fmt: skip
        return {"total": len(hits), "totalHits": len(hits), "hits": hits}

    def _pixabay_clips(self, _: Asked) -> dict[str, Any]:
        hits = [
            {
                "id": number + 100, "pageURL": f"https://pixabay.com/videos/{number + 100}/",
                "duration": 2, "user": "Joan", "user_id": 48777,
                "videos": {
                    "large": {"url": "", "width": 0, "height": 0, "size": 0},
                    "tiny": {
                        "url": f"{self.files.root}/clips/{number + 100}-640x360.mp4",
                        "width": 640, "height": 360, "size": 1,
                    },
                },
            }
            for number in range(1, self.clips + 1)
        ]  # fmt: skip
        return {"total": len(hits), "totalHits": len(hits), "hits": hits}


def picture(number: int, width: int, height: int) -> bytes:
    """Return a picture that differs by its number."""
    target = io.BytesIO()
    color = (number * 53 % 256, number * 97 % 256, number * 193 % 256)
    Image.new("RGB", (width, height), color).save(target, "JPEG", quality=60)
    return target.getvalue()


@cache
def clip(width: int, height: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "clip.mp4"
        source = f"testsrc=size={width}x{height}:rate=25:duration=1"
        argv = [ffmpeg_path(), "-v", "error", "-f", "lavfi", "-i", source, "-c:v", "libx264"]
        subprocess.run([*argv, "-preset", "ultrafast", "-pix_fmt", "yuv420p", str(target)], check=True)
        return target.read_bytes()
