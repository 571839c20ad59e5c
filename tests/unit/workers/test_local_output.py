"""One form for what every program says."""

from __future__ import annotations

import io
import json

import pytest

from workers.local import output
from workers.local.output import StackLog, parse_line


@pytest.mark.parametrize(
    ("service", "line", "level", "event"),
    [
        pytest.param(
            "postgres", "LOG:  database system is ready", "INFO", "database system is ready", id="postgres"
        ),
        pytest.param("postgres", "FATAL:  no room", "ERROR", "no room", id="postgres, fatal"),
        pytest.param("redis", "12:M 24 Nov 2026 05:45:25.733 * Ready", "INFO", "Ready", id="redis"),
        pytest.param(
            "redis",
            "12:M 24 Nov 2026 05:45:25.733 # Low memory",
            "WARNING",
            "Low memory",
            id="redis, warning",
        ),
        pytest.param(
            "flower",
            "\x1b[32m[I 261124 05:41:25 command:168]\x1b[39m Visit me",
            "INFO",
            "Visit me",
            id="flower, in colour",
        ),
        pytest.param(
            "beat",
            "Traceback (most recent call last):",
            "INFO",
            "Traceback (most recent call last):",
            id="plain",
        ),
        pytest.param(
            "beat", "[2026] ERROR/Main no", "ERROR", "[2026] ERROR/Main no", id="plain, with a level"
        ),
        pytest.param("api", "{not json", "INFO", "{not json", id="almost JSON"),
    ],
)
def test_lines_of_other_programs_are_converted_to_events(service, line, level, event):
    wrapped = parse_line(service, line)

    assert (wrapped["level"], wrapped["event"], wrapped["service"]) == (level, event, service)
    assert wrapped["time"]


def test_our_own_lines_keep_their_fields_and_get_the_name_of_their_program():
    line = json.dumps(
        {"time": "t", "level": "INFO", "event": "job_settled", "task_id": "t1", "service": "worker"}
    )

    event = parse_line("worker-renders", line)

    assert event == json.loads(line) | {"service": "worker-renders"}


def test_the_file_is_rotated_and_old_ones_are_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(output, "FILE_BYTES", 200)
    log = StackLog(tmp_path, None)

    for number in range(40):
        log.event(f"event {number}")
    log.close()

    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == [
        "scenemill.log",
        *(f"scenemill.log.{number}" for number in range(1, output.OLD_FILES + 1)),
    ]
    assert all(path.stat().st_size <= 400 for path in tmp_path.iterdir())


def test_a_full_disk_does_not_end_the_log(tmp_path):
    (tmp_path / "scenemill.log").symlink_to("/dev/full")
    terminal = io.StringIO()

    log = StackLog(tmp_path, terminal, verbose=True)
    log.event("first")
    log.event("second")
    log.close()

    assert [json.loads(line)["event"] for line in terminal.getvalue().splitlines()] == ["first", "second"]


def test_a_closed_terminal_does_not_end_the_log(tmp_path):
    class Gone(io.StringIO):
        def write(self, _text):
            raise BrokenPipeError

    log = StackLog(tmp_path, Gone(), verbose=True)
    log.event("first")
    log.event("second")
    log.close()

    assert [json.loads(line)["event"] for line in log.path.read_text().splitlines()] == ["first", "second"]


def test_a_terminal_gets_notices_in_words_and_the_file_every_event(tmp_path):
    terminal = io.StringIO()
    log = StackLog(tmp_path, terminal)

    log.line("api", b"[2026] ERROR no")
    log.event("program_ready", program="api")
    log.event("program_died", level="ERROR", program="worker-renders", code=-9, restart_in=0.5)
    log.close()

    assert terminal.getvalue() == (
        "worker-renders ended with code -9 and is started again in 0.5 s. The log says why.\n"
    )
    assert len(log.path.read_text().splitlines()) == 3
