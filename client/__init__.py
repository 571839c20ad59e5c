"""The Python client of Scenemill and its command. It knows the HTTP API and nothing of the server."""

from client.api import Scenemill
from client.auth import TokenAuth, by_key, by_password
from client.errors import ApiError, IntegrityError, ScenemillError, Unreachable
from client.values import Artifact, Asset, Scene, Task

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
