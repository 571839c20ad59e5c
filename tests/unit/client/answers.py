"""What the scripted server answers."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from scenemill.types import Artifact

TASK = {"task_id": "t1", "kind": "video", "status": "queued", "stage": None, "progress": 0.0, "scenes": []}
DONE = TASK | {"status": "succeeded", "progress": 1.0}
BATCH = {"batch_id": "b1", "status": "running", "progress": 0.0, "counts": {"queued": 2}}

Answer = tuple[int, dict[str, str], bytes]


def answer(status: int, body: Any, **headers: str) -> Answer:
    return (status, {"Retry-After": "0", **headers}, json.dumps(body).encode())


def artifact(content: bytes, name: str = "video.mp4", url: str = "", sha256: str | None = None) -> Artifact:
    return Artifact(
        name=name,
        url=url or f"/v1/tasks/t1/artifacts/{name}",
        media_type="video/mp4",
        bytes=len(content),
        sha256=sha256 or hashlib.sha256(content).hexdigest(),
    )
