"""Values that the planning modules share: a source file and a segment's span of frames. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.media.probing import Media
    from shared.script.timeline import Slot


@dataclass(frozen=True, slots=True)
class Source:
    """A file that a script names: its key in storage and its probed facts."""

    src: str
    storage_key: str
    media: Media


@dataclass(frozen=True, slots=True)
class Span:
    """The frames of the video that a segment holds, and the scenes seen in them: two in a transition."""

    start: int
    frames: int
    slots: tuple[Slot, ...]

    @property
    def end(self) -> int:
        """The frame after its last."""
        return self.start + self.frames
