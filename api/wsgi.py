"""The WSGI entry point `api.wsgi:app`. The application is created on first access, not on import."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from api.app import create_app

if TYPE_CHECKING:
    from flask import Flask


@lru_cache(maxsize=1)
def _app() -> Flask:
    return create_app()


def __getattr__(name: str) -> Flask:
    if name == "app":
        return _app()
    raise AttributeError(name)
