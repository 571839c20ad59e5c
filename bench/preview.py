"""Cut the looping preview of the README from the demo's video: `python bench/preview.py [VIDEO]` writes docs/images/reef.webp.

Render the video first, by `make demo`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from shared.media import probing  # noqa: E402  (the line above makes the rest importable)
from shared.processes.ffmpeg import ffmpeg_path  # noqa: E402

VIDEO = ROOT / ".scenemill" / "demo" / "video.mp4"
TARGET = ROOT / "docs" / "images" / "reef.webp"
MAX_BYTES = 1_000_000  # pages that show it load it at once
PARTS, PART_SECONDS = 7, 1.5
WIDTH, FPS = 480, 10
QUALITIES = (70, 60, 50, 40, 30)
ENCODE_SECONDS = 300


def preview_starts(duration: float) -> list[float]:
    """Return where the parts of the preview begin: evenly spread over the video, none past its end."""
    room = duration / PARTS
    return [round(index * room + max(0.0, room - PART_SECONDS) / 2, 3) for index in range(PARTS)]


def encode_preview(video: Path, target: Path, quality: int) -> None:
    """Write the preview at one quality."""
    starts = preview_starts(probing.probe(video).duration or 0)
    chosen = "+".join(f"between(t,{start},{start + PART_SECONDS})" for start in starts)
    picture = f"select='{chosen}',setpts=N/FRAME_RATE/TB,fps={FPS},scale={WIDTH}:-2:flags=lanczos"
    encoder = ("-c:v", "libwebp_anim", "-quality", str(quality), "-compression_level", "4", "-loop", "0")
    argv = [ffmpeg_path(), "-nostdin", "-v", "error", "-y", "-i", str(video), "-an", "-vf", picture]
    subprocess.run([*argv, *encoder, str(target)], check=True, timeout=ENCODE_SECONDS)


def main() -> None:
    """Write the preview at the best quality that stays below the limit."""
    video = Path(sys.argv[1]) if len(sys.argv) > 1 else VIDEO
    if not video.is_file():
        raise SystemExit(f"{video} is not there. Render it first: make demo")
    for quality in QUALITIES:
        encode_preview(video, TARGET, quality)
        if TARGET.stat().st_size <= MAX_BYTES:
            break
    print(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size / 1000:.0f} kB at quality {quality}")


if __name__ == "__main__":
    main()
