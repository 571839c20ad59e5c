"""Jobs as a client writes them, and what the API answers to a dry run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Required, TypeAlias, TypedDict

from scenemill.types.problems import WrongPlace
from scenemill.types.scripts import Script
from scenemill.types.value import Value

Kind: TypeAlias = Literal["video", "script"]
Priority: TypeAlias = Literal["interactive", "normal", "bulk"]
FieldValue: TypeAlias = str | float | list[str | float]


class Output(TypedDict, total=False):
    """How a video is encoded."""

    aspect: Literal["16:9", "9:16", "1:1", "4:5", "4:3", "21:9"]
    resolution: Literal["360p", "480p", "720p", "1080p", "1440p", "2160p"]
    fps: Literal[24, 25, 30, 50, 60]
    quality: Literal["draft", "standard", "high"]
    formats: list[Literal["mp4", "webm", "hls", "gif", "mp3"]]
    sidecars: list[Literal["srt", "vtt", "poster", "storyboard", "script"]]


class Brief(TypedDict, total=False):
    """What a script is written from: a `topic`, or a `source_text` that becomes scenes."""

    topic: str
    source_text: str
    audience: str
    tone: str
    language: str
    duration: float
    scenes: int
    style: str
    keywords: list[str]


class Webhook(TypedDict, total=False):
    """Where to announce how a task goes."""

    url: Required[str]
    events: list[Literal["task.succeeded", "task.failed", "task.canceled"]]


class Links(TypedDict):
    """Signed links to the artifacts: each is valid for `expires_in` seconds from when it is made."""

    expires_in: int


class JobOptions(TypedDict, total=False):
    """What a job of any kind may say. `expires_in` is in seconds; `budget` is the most that it may cost."""

    custom_id: str
    priority: Priority
    metadata: dict[str, str]
    webhook: Webhook
    links: Links
    expires_in: int
    budget: float


class ScriptJob(JobOptions, total=False):
    """Has a script written."""

    kind: Required[Literal["script"]]
    brief: Required[Brief]


class VideoJob(JobOptions, total=False):
    """Makes a video: of a script, a brief, an earlier script job, or a template and its fields. Exactly one of them."""

    kind: Required[Literal["video"]]
    script: Script
    brief: Brief
    script_task_id: str
    template_id: str
    template_version: int
    fields: dict[str, FieldValue]
    output: Output


Job: TypeAlias = VideoJob | ScriptJob


class JobDefaults(JobOptions, total=False):
    """What holds for the jobs of a batch that do not say otherwise."""

    kind: Kind
    script: Script
    brief: Brief
    script_task_id: str
    template_id: str
    template_version: int
    fields: dict[str, FieldValue]
    output: Output


@dataclass(frozen=True)
class SceneTime(Value):
    """When a scene begins, and how long it is, in seconds; not `exact` where its speech is estimated."""

    id: str
    start: float = 0.0
    duration: float = 0.0
    exact: bool = False


@dataclass(frozen=True)
class Estimate(Value):
    """What a job would use at most: less where parts of it are stored already."""

    duration: float | None = None
    render_seconds: float = 0.0
    llm_tokens: int = 0
    speech_characters: int = 0
    images: int = 0
    cost: float = 0.0


@dataclass(frozen=True)
class DryRun(Value):
    """What would come of a job: whether it would be accepted, every error, and its timeline and cost."""

    valid: bool
    errors: tuple[WrongPlace, ...] = ()
    warnings: tuple[str, ...] = ()
    timeline: tuple[SceneTime, ...] | None = None
    estimate: Estimate | None = None
