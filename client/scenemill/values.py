"""What the API answers, as values. Unknown fields are left alone, so that a newer server does no harm."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

FINISHED = ("succeeded", "failed", "canceled")


@dataclass(frozen=True)
class Asset:
    """A file that was uploaded."""

    asset_id: str
    media_type: str
    bytes: int
    sha256: str

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Asset:
        """Read the API's answer."""
        return cls(
            asset_id=body["asset_id"],
            media_type=body["media_type"],
            bytes=body["bytes"],
            sha256=body["sha256"],
        )


@dataclass(frozen=True)
class Artifact:
    """A file that a job made."""

    name: str
    url: str
    media_type: str
    bytes: int
    sha256: str
    width: int | None = None
    height: int | None = None
    duration: float | None = None

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Artifact:
        """Read one entry of a result."""
        return cls(
            name=body["name"],
            url=body["url"],
            media_type=body["media_type"],
            bytes=body["bytes"],
            sha256=body["sha256"],
            width=body.get("width"),
            height=body.get("height"),
            duration=body.get("duration"),
        )


@dataclass(frozen=True)
class Scene:
    """How far a scene of a video is."""

    id: str
    status: str
    progress: float | None = None
    cached: bool = False


@dataclass(frozen=True)
class Task:
    """A job's run. `raw` is the whole answer."""

    task_id: str
    kind: str
    status: str
    stage: str | None
    progress: float
    scenes: tuple[Scene, ...] = ()
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    raw: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Task:
        """Read the API's answer."""
        return cls(
            task_id=body["task_id"],
            kind=body["kind"],
            status=body["status"],
            stage=body.get("stage"),
            progress=float(body.get("progress") or 0.0),
            scenes=tuple(
                Scene(one["id"], one["status"], one.get("progress"), bool(one.get("cached")))
                for one in body.get("scenes") or ()
            ),
            result=body.get("result"),
            error=body.get("error"),
            raw=body,
        )

    @property
    def finished(self) -> bool:
        """Tell whether the task has ended."""
        return self.status in FINISHED

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """Return the files that a finished task made."""
        return tuple(Artifact.from_json(one) for one in (self.result or {}).get("artifacts", ()))

    @property
    def usage(self) -> dict[str, Any]:
        """Return what a finished task has used."""
        return dict((self.result or {}).get("usage") or {})
