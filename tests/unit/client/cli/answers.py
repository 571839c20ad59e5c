"""Answers of the API, as the server of a test gives them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

TASK_ID = "9c3f3ea8-ec16-4cea-88fc-1334ad7c3940"
BATCH_ID = "5b0f9d0e-4a3f-4f9c-9d51-0a2b8a1f7e11"
ASSET_ID = "1f2e3d4c-5b6a-4798-8897-a6b5c4d3e2f1"
VIDEO = b"video"
TASK: dict[str, Any] = {
    "task_id": TASK_ID, "kind": "video", "status": "queued", "stage": None, "progress": 0.0, "scenes": [],
    "created_at": "2026-01-31T12:00:00Z",
}  # fmt: skip
BATCH: dict[str, Any] = {
    "batch_id": BATCH_ID, "status": "finished", "progress": 1.0, "created_at": "2026-01-31T12:00:00Z",
    "finished_at": "2026-01-31T12:01:00Z", "counts": {"succeeded": 2},
}  # fmt: skip
ASSET: dict[str, Any] = {
    "asset_id": ASSET_ID, "kind": "image", "media_type": "image/png", "bytes": 5, "width": 640, "height": 360,
    "sha256": hashlib.sha256(VIDEO).hexdigest(),
}  # fmt: skip


TEMPLATE: dict[str, Any] = {
    "template_id": "greeting", "version": 2, "built_in": False, "title": "Greeting", "description": "Says hello.",
    "fields": {"name": {"type": "string", "description": "Whom."}, "logo": {"type": "asset", "optional": True}},
    "script": {"scenes": [{"narration": "Hello, {{name}}."}]},
}  # fmt: skip
USAGE: dict[str, Any] = {
    "months": [{"month": "2026-01", "cost": 1.5, "used": {"speech_characters": {"amount": 12000, "cost": 1.5}}}],
    "storage": {"bytes": 12_800_000, "assets": 0, "artifacts": 2_100_000, "cache": 10_700_000},
    "quotas": {"budget": 10, "budget_left": 8.5, "asset_bytes": 2_000_000_000, "running_jobs": 32, "batch_jobs": 10_000},
}  # fmt: skip
KEY: dict[str, Any] = {
    "id": "4f1c2a", "name": "website", "scopes": ["jobs:read"], "created_at": "2026-01-31T12:00:00Z",
}  # fmt: skip


def answer(status: int, body: Any, **headers: str) -> tuple[int, dict[str, str], bytes]:
    return (status, {"Retry-After": "0", **headers}, json.dumps(body).encode())


def page(*entries: Any) -> tuple[int, dict[str, str], bytes]:
    return answer(200, {"data": list(entries), "next_cursor": None})


def problem(status: int, *places: tuple[str, str], **more: str) -> tuple[int, dict[str, str], bytes]:
    errors = [{"pointer": pointer, "detail": detail} for pointer, detail in places]
    return answer(status, {"title": "Invalid input", "status": status, "errors": errors, **more})


def artifact(name: str = "video.mp4", media_type: str = "video/mp4") -> dict[str, Any]:
    return {
        "name": name, "url": f"/v1/tasks/{TASK_ID}/artifacts/{name}", "media_type": media_type, "bytes": len(VIDEO),
        "sha256": hashlib.sha256(VIDEO).hexdigest(), "width": 1280, "height": 720, "duration": 3.5,
    }  # fmt: skip


def finished(*names: str) -> dict[str, Any]:
    usage = {"rendered_segments": 1, "cached_segments": 4, "render_seconds": 2.0}
    made = [artifact(name) for name in names or ("video.mp4",)]
    result = {"duration": 3.5, "artifacts": made, "usage": usage}
    return TASK | {
        "status": "succeeded",
        "progress": 1.0,
        "result": result,
        "finished_at": "2026-01-31T12:00:09Z",
    }


def failed() -> dict[str, Any]:
    error = {
        "title": "Unusable",
        "detail": "Scene opening: the image cannot be read.",
        "code": "asset-unreadable",
    }
    return TASK | {"status": "failed", "progress": 0.3, "error": error}
