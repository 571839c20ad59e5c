"""Runs ffmpeg in a job's work folder until it ends or the job is stopped, and writes a title as its arguments."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from shared.processes import ffmpeg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

TITLE_LENGTH = 200

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class FfmpegRunner:
    """The work folder, the job's stop signal, and the ffmpeg to run; None is the bundled one."""

    work: Path
    stop: Callable[[], bool] | None = None
    ffmpeg_path: str | Path | None = None

    def run(
        self,
        *arguments: str,
        stdin: Iterator[memoryview] | None = None,
        limits: ffmpeg.Limits | None = None,
        on_progress: Callable[[ffmpeg.Progress], None] | None = None,
    ) -> None:
        """Run ffmpeg in the work folder. Raise RenderFailed, RenderTimeout, RenderStalled or Stopped."""
        argv = ffmpeg.command(*arguments, ffmpeg=self.ffmpeg_path)
        ffmpeg.run(argv, cwd=self.work, stop=self.stop, stdin=stdin, limits=limits, on_progress=on_progress)

    def while_wanted(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items, or raise Stopped as soon as the job is stopped."""
        for item in items:
            if self.stop is not None and self.stop():
                raise ffmpeg.Stopped
            yield item


def title_arguments(title: str) -> tuple[str, ...]:
    """Return the arguments that write a title into a file's metadata, as one line of at most TITLE_LENGTH characters."""
    plain = "".join(
        " " if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") else character
        for character in title
    )
    line = " ".join(plain.split())[:TITLE_LENGTH]
    return ("-metadata", f"title={line}") if line else ()
