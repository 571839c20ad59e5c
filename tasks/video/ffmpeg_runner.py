"""What the steps of assembly share: how they run ffmpeg, and how a title becomes metadata."""

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
    """What every step needs: where to work, whether to go on, and which ffmpeg."""

    work: Path
    stop: Callable[[], bool] | None = None
    program: str | Path | None = None

    def run(
        self,
        *arguments: str,
        stdin: Iterator[memoryview] | None = None,
        limits: ffmpeg.Limits | None = None,
        on_progress: Callable[[ffmpeg.Progress], None] | None = None,
    ) -> None:
        """Run ffmpeg in the work folder."""
        argv = ffmpeg.command(*arguments, ffmpeg=self.program)
        ffmpeg.run(argv, cwd=self.work, stop=self.stop, stdin=stdin, limits=limits, on_progress=on_progress)

    def while_wanted(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items one by one, or raise Stopped when they are no longer wanted."""
        for item in items:
            if self.stop is not None and self.stop():
                raise ffmpeg.Stopped
            yield item


def title_arguments(title: str) -> tuple[str, ...]:
    """Return the arguments that put a title into a file's metadata, as one line of plain text."""
    plain = "".join(" " if unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") else each for each in title)
    shown = " ".join(plain.split())[:TITLE_LENGTH]
    return ("-metadata", f"title={shown}") if shown else ()
