"""The local stack's log: one JSON line for each event, from all programs, in a rotated file and on the terminal.

Our programs write JSON themselves; lines of Postgres, Redis, gunicorn and Flower are converted.
"""

from __future__ import annotations

import json
import logging
import re
import time
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.logs import format_timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

STACK = "local"  # the stack itself, beside its programs
NOTICES = {
    "orphan_ended": "Ended {program}, which an earlier run left behind.",
    "program_died": "{program} ended with code {code} and is started again in {restart_in} s. The log says why.",
    "program_killed": "{program} did not stop in time and was killed.",
    "stack_stopping": "Stopping. Press Ctrl-C again to stop at once: unfinished work continues at the next start.",
    "stack_stopped": "Stopped.",
}
FILE_BYTES = 10_000_000
OLD_FILES = 5

POSTGRES = re.compile(r"^(?P<level>DEBUG\d?|INFO|NOTICE|LOG|WARNING|ERROR|FATAL|PANIC):\s+(?P<message>.*)$")
REDIS = re.compile(r"^\d+:[XCSM] \d+ \w+ \d+ [\d:.]+ (?P<level>[.\-*#]) (?P<message>.*)$")
PLAIN = re.compile(r"\b(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL)\b")
# Flower's lines, once their colors are removed: "[I 261124 05:41:25 command:168] …".
TORNADO = re.compile(r"^\[(?P<level>[DIWEC]) \d+ [\d:]+ [\w.:]+\] (?P<message>.*)$")
COLOR = re.compile(r"\x1b\[[0-9;]*m")
LEVELS = {
    "LOG": "INFO",
    "NOTICE": "INFO",
    "FATAL": "ERROR",
    "PANIC": "CRITICAL",
    ".": "DEBUG",
    "-": "INFO",
    "*": "INFO",
    "#": "WARNING",
    "D": "DEBUG",
    "I": "INFO",
    "W": "WARNING",
    "E": "ERROR",
    "C": "CRITICAL",
}


def parse_line(service: str, line: str) -> dict[str, Any]:
    """Return the event in a line of a program's output."""
    if line.startswith("{"):
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict):
            return event | {"service": service}
    level, message = _level(COLOR.sub("", line))
    return event_now(service, level, message)


def event_now(service: str, level: str, message: str, **fields: Any) -> dict[str, Any]:
    """Return an event of the log, at this moment."""
    return (
        {"time": format_timestamp(time.time()), "level": level, "logger": service, "event": message}
        | fields
        | {"service": service}
    )


def _level(line: str) -> tuple[str, str]:
    for pattern in (POSTGRES, REDIS, TORNADO):
        if found := pattern.match(line):
            level = found["level"]
            return LEVELS.get(level, level.rstrip("12345")), found["message"]
    found = PLAIN.search(line[:80])
    return (found["level"] if found else "INFO"), line


def notice(event: Mapping[str, Any]) -> str | None:
    """Return what a person at the terminal reads of an event, or None where the file is enough."""
    words = NOTICES.get(event["event"]) if event["service"] == STACK else None
    return words.format_map(event) if words else None


class _LogFile(RotatingFileHandler):
    """The rotated file. Lines are dropped while the disk is full, which must not end the stack."""

    def _open(self) -> TextIOWrapper:
        # Unbuffered: a buffer would keep lines that do not fit the disk, and fail again when the file is closed.
        raw = Path(self.baseFilename).open("ab", buffering=0)  # noqa: SIM115 (closed with the handler)
        return TextIOWrapper(raw, encoding="utf-8", errors="replace", write_through=True)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the name that logging calls)
        """Drop the line."""


class StackLog:
    """Writes every event into a file that is rotated. A terminal gets notices for people, and with `verbose` every event."""

    def __init__(self, folder: Path, terminal: TextIO | None, *, verbose: bool = False) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / "scenemill.log"
        self._terminal = terminal
        self._verbose = verbose
        self._file = _LogFile(self.path, maxBytes=FILE_BYTES, backupCount=OLD_FILES)

    def line(self, service: str, raw: bytes) -> None:
        """Write a line of a program's output."""
        text = raw.decode(errors="replace").rstrip()
        if text:
            self.write(parse_line(service, text))

    def event(self, message: str, *, level: str = "INFO", **fields: Any) -> None:
        """Write an event of the local stack itself."""
        self.write(event_now(STACK, level, message, **fields))

    def write(self, event: dict[str, Any]) -> None:
        """Write one event. It is dropped while the disk is full; a closed terminal is not written to again."""
        text = json.dumps(event, ensure_ascii=False, default=str)
        self._file.handle(logging.makeLogRecord({"msg": text}))
        shown = text if self._verbose else notice(event)
        if self._terminal is not None and shown:
            try:
                print(shown, file=self._terminal, flush=True)
            except OSError:
                self._terminal = None

    def close(self) -> None:
        """Close the file."""
        self._file.close()
