"""The frame that text and elements are drawn on: its size, its time, and the direction of its language. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Canvas:
    """A frame's size in pixels, the segment's frame rate and frames, and the language of its texts."""

    width: int
    height: int
    fps: int
    frames: int
    language: str

    @property
    def short(self) -> int:
        """The shorter side in pixels; text sizes are relative to it."""
        return min(self.width, self.height)

    @property
    def rtl(self) -> bool:
        """Whether the language is right-to-left."""
        return self.language.split("-")[0] in ("ar", "he", "fa", "ur", "yi", "ps", "sd", "ug", "dv")
