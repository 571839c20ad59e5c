"""Make the media of an example: `python examples/make_media.py reef FOLDER`. What is there is kept.

Nothing is downloaded: the pictures are drawn, the clip is computed frame by frame, the chart shows published figures.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import sys
from pathlib import Path

import daylight_pictures
import reef_chart
import reef_clip
import reef_pictures

CLIPS = {"school.mp4": reef_clip.make}
PICTURES = reef_pictures.PICTURES | reef_chart.PICTURES | daylight_pictures.PICTURES
# The clip, which takes longest, comes first.
EXAMPLES = {
    "reef": (*CLIPS, *reef_pictures.PICTURES, *reef_chart.PICTURES),
    "daylight": tuple(daylight_pictures.PICTURES),
}
QUALITY = 92


def main(example: str, folder: Path) -> None:
    """Make what is missing, on all cores, and each file whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp, code = folder / "made-by", _code()
    known = stamp.read_text() if stamp.exists() else ""
    missing = [name for name in EXAMPLES[example] if known != code or not (folder / name).exists()]
    if not missing:
        return
    # A process each: drawing holds the interpreter.
    with multiprocessing.get_context("spawn").Pool(min(len(missing), multiprocessing.cpu_count())) as pool:
        for name in pool.imap_unordered(_make, [(folder, name) for name in missing]):
            print(name, flush=True)
    stamp.write_text(code)


def _make(job: tuple[Path, str]) -> str:
    folder, name = job
    draft = folder / f".{name}.draft"
    if name in CLIPS:
        CLIPS[name](draft)
    else:
        PICTURES[name]().save(draft, format="JPEG", quality=QUALITY, subsampling=0)
    draft.replace(folder / name)
    return name


def _code() -> str:
    """Return a sum of the code that draws: when it changes, everything is drawn anew."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
