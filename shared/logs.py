"""Logging: one JSON object per line, with the fields that `bind` adds to every line."""

from __future__ import annotations

import logging
import logging.config
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pythonjsonlogger.json import JsonFormatter

if TYPE_CHECKING:
    from collections.abc import Iterator

_bound: ContextVar[dict[str, Any] | None] = ContextVar("bound", default=None)


@contextmanager
def bind(**fields: Any) -> Iterator[None]:
    """Add fields to every line that is logged inside the block, in this thread or greenlet."""
    token = _bound.set({**bound_fields(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def bound_fields() -> dict[str, Any]:
    """Return the fields in force, to pass them to another thread."""
    return _bound.get() or {}


class _ContextFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in bound_fields().items():
            # A field of the call wins over one that is bound.
            if not hasattr(record, name):
                setattr(record, name, value)
        return True


class _JsonLines(JsonFormatter):
    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802
        return format_timestamp(record.created)


def format_timestamp(seconds: float) -> str:
    """Return a Unix time as logs show it: ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def logging_config(level: str, service: str) -> dict[str, Any]:
    """Return a `dictConfig` that writes every line to stderr as JSON."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"context": {"()": _ContextFilter}},
        "formatters": {
            "json": {
                "()": _JsonLines,
                "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s",
                "rename_fields": {
                    "asctime": "time",
                    "levelname": "level",
                    "name": "logger",
                    "message": "event",
                },
                "static_fields": {"service": service},
            }
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["context"]},
        },
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {
            "celery": {"level": "WARNING"},
            "celery.worker.strategy": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
            "botocore": {"level": "WARNING"},
            "urllib3": {"level": "ERROR"},
            "openai": {"level": "WARNING"},
        },
    }


def configure(level: str, service: str) -> None:
    """Configure this process's logging."""
    logging.config.dictConfig(logging_config(level, service))
