"""Assets, the files that scripts may use, and the uploads that they come by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from scenemill.types.value import Value


@dataclass(frozen=True)
class Asset(Value):
    """A stored file, with what was found in it. A script names it by `src`."""

    asset_id: str
    kind: Literal["image", "video", "audio"] | None = None
    media_type: str = ""
    bytes: int = 0
    sha256: str = ""
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    fps: float | None = None
    has_audio: bool = False
    created_at: datetime | None = None
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Return the asset's id."""
        return self.asset_id

    @property
    def src(self) -> str:
        """Return how a script names the asset."""
        return f"asset:{self.asset_id}"


@dataclass(frozen=True)
class Upload(Value):
    """A resumable upload: `offset` bytes of `length` are stored. `asset_id` is what it became, once it is complete."""

    upload_id: str
    offset: int = 0
    length: int | None = None
    asset_id: str | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Return the upload's id."""
        return self.upload_id
