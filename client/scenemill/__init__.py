"""The Python client of Scenemill and its command. It knows the HTTP API and nothing of the server."""

from scenemill.api import Scenemill
from scenemill.auth import TokenAuth, by_key, by_password
from scenemill.errors import ApiError, IntegrityError, ScenemillError, Unreachable
from scenemill.values import Artifact, Asset, Scene, Task

__all__ = [
    "ApiError",
    "Artifact",
    "Asset",
    "IntegrityError",
    "Scene",
    "Scenemill",
    "ScenemillError",
    "Task",
    "TokenAuth",
    "Unreachable",
    "by_key",
    "by_password",
]
