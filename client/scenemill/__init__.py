"""The Python client of Scenemill. `Scenemill` blocks, `AsyncScenemill` is for asyncio and trio.

A name is imported when it is used, so that the command's help and shell completion need not wait for the HTTP client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_ERRORS = (
    "ApiError", "IntegrityError", "MediaMissing", "ScenemillError", "TaskFailed", "Unreachable", "WaitTimeout",
    "WebhookInvalid",
)  # fmt: skip
_MODULES = {
    **dict.fromkeys(_ERRORS, "scenemill.errors"),
    **dict.fromkeys(("AsyncScenemill", "Scenemill"), "scenemill.client"),
    **dict.fromkeys(("TokenAuth", "by_key", "by_password"), "scenemill.auth"),
    "Retry": "scenemill.core.retry",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    if name in ("types", "webhooks"):
        return import_module(f"scenemill.{name}")
    raise AttributeError(f"module 'scenemill' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted((*globals(), *__all__))
