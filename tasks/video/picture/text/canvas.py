"""The frame that text and elements are drawn on: its size, its time, and the direction of its language. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Canvas:
    """The frame that is written on, for so many frames, in a language."""

    width: int
    height: int
    fps: int
    frames: int
    language: str

    @property
    def short(self) -> int:
        """The short side: sizes of text are parts of it."""
        return min(self.width, self.height)

    @property
    def rtl(self) -> bool:
        """Whether the language is read from the right."""
        return self.language.split("-")[0] in ("ar", "he", "fa", "ur", "yi", "ps", "sd", "ug", "dv")
