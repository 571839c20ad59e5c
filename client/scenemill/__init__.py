"""The Python client of Scenemill. `Scenemill` blocks, `AsyncScenemill` is for asyncio and trio."""

from scenemill import types, webhooks
from scenemill.auth import TokenAuth, by_key, by_password
from scenemill.client import AsyncScenemill, Scenemill
from scenemill.core.retry import Retry
from scenemill.errors import (
    ApiError,
    IntegrityError,
    MediaMissing,
    ScenemillError,
    TaskFailed,
    Unreachable,
    WaitTimeout,
    WebhookInvalid,
)

__all__ = [
    "ApiError",
    "AsyncScenemill",
    "IntegrityError",
    "MediaMissing",
    "Retry",
    "Scenemill",
    "ScenemillError",
    "TaskFailed",
    "TokenAuth",
    "Unreachable",
    "WaitTimeout",
    "WebhookInvalid",
    "by_key",
    "by_password",
    "types",
    "webhooks",
]
