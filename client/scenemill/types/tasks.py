"""Tasks: the runs of jobs, how far they are, and what they made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Literal, TypeAlias, TypeVar

from scenemill.types.jobs import Kind, Priority
from scenemill.types.problems import Problem
from scenemill.types.scripts import Script
from scenemill.types.value import Value

T = TypeVar("T")
Status: TypeAlias = Literal["queued", "running", "canceling", "succeeded", "failed", "canceled"]
Stage: TypeAlias = Literal["writing", "gathering", "narrating", "rendering", "assembling"]
FINISHED = frozenset(("succeeded", "failed", "canceled"))


@dataclass(frozen=True)
class SceneProgress(Value):
    """How far a scene of a video is; `cached` where nothing of it had to be rendered."""

    id: str
    status: Literal["waiting", "rendering", "done"] = "waiting"
    progress: float = 0.0
    cached: bool = False


@dataclass(frozen=True)
class Artifact(Value):
    """A file that a task made. `tasks.download` fetches it and checks its SHA-256."""

    name: str
    url: str
    media_type: str
    bytes: int
    sha256: str
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    signed_url: str | None = None


@dataclass(frozen=True)
class Usage(Value):
    """What a task has used."""

    render_seconds: float = 0.0
    cached_segments: int = 0
    rendered_segments: int = 0
    llm_tokens: int = 0
    speech_characters: int = 0
    images: int = 0


@dataclass(frozen=True)
class Credit(Value):
    """Whom a scene's picture or clip is by."""

    scene: str = ""
    provider: str = ""
    author: str = ""
    author_url: str = ""
    page: str = ""
    asset_id: str = ""


@dataclass(frozen=True)
class Result(Value):
    """What a task made: a video has `artifacts`, a script job has `script` and the `model` that wrote it."""

    script: Script | None = None
    duration: float | None = None
    artifacts: tuple[Artifact, ...] = ()
    model: str = ""
    cached: bool = False
    usage: Usage = Usage()
    encoder: str = ""
    warnings: tuple[str, ...] = ()
    credits: tuple[Credit, ...] = ()


@dataclass(frozen=True)
class Task(Value):
    """The run of a job. `error` says why it failed; `result` what it made, once it has succeeded."""

    task_id: str
    kind: Kind
    status: Status
    stage: Stage | None = None
    progress: float = 0.0
    attempt: int = 0
    priority: Priority = "normal"
    custom_id: str | None = None
    batch_id: str | None = None
    template_id: str | None = None
    template_version: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    scenes: tuple[SceneProgress, ...] = ()
    result: Result | None = None
    error: Problem | None = None
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Return the task's id."""
        return self.task_id

    @property
    def finished(self) -> bool:
        """Tell whether the task has ended."""
        return self.status in FINISHED

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """Return the files that the task made; none before it has succeeded."""
        return self.result.artifacts if self.result else ()

    def artifact(self, name: str) -> Artifact:
        """Return the file of this name, or raise KeyError, which names those that there are."""
        for one in self.artifacts:
            if one.name == name:
                return one
        names = ", ".join(one.name for one in self.artifacts) or "none"
        raise KeyError(f"Task {self.task_id} has no artifact {name!r}. It has: {names}.")


@dataclass(frozen=True)
class Event(Generic[T]):
    """A change: `name` is `status` where the status changed, else `progress`; `data` is how it is since."""

    id: str
    name: str
    data: T
