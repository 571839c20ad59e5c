"""The heartbeat beside a piece of work."""

from __future__ import annotations

import multiprocessing
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from shared.errors import RenderFailed, RenderTimeout, Unavailable
from shared.logs import bind, bound_fields
from shared.processes.ffmpeg import Stopped
from tasks import watchdog
from tasks.heartbeat import Heartbeat

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from shared.errors import ServiceError

FAST = timedelta(milliseconds=5)


class Beats:
    """Answers each beat by the next of `answers`, then by the last one, and says when all were used."""

    def __init__(self, *answers: bool | Exception) -> None:
        self.answers = list(answers)
        self.seen = threading.Event()
        self.contexts: list[dict[str, object]] = []

    def __call__(self) -> bool:
        self.contexts.append(bound_fields())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if len(self.answers) == 1:
            self.seen.set()
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_work_continues_until_a_beat_returns_false() -> None:
    beats = Beats(True, True, False)

    with Heartbeat(beats, every=FAST, lease=timedelta(seconds=60)) as heartbeat:
        assert not heartbeat.should_stop()
        assert heartbeat._stop_requested.wait(5)  # noqa: SLF001 (waits for the very thing that `should_stop` looks at)

    assert heartbeat.should_stop()


def test_a_failed_beat_is_tolerated_within_the_lease() -> None:
    beats = Beats(Unavailable("away"), ValueError("odd"), True)

    with Heartbeat(beats, every=FAST, lease=timedelta(seconds=60)) as heartbeat:
        assert beats.seen.wait(5)

    assert not heartbeat.should_stop()


def test_the_work_stops_when_no_beat_succeeds_within_the_lease() -> None:
    beats = Beats(Unavailable("away"))

    with Heartbeat(beats, every=FAST, lease=timedelta(milliseconds=30)) as heartbeat:
        assert heartbeat._stop_requested.wait(5)  # noqa: SLF001 (as above)


def test_log_lines_of_the_heartbeat_have_the_work_s_context() -> None:
    beats = Beats(True)

    with bind(task_id="t"), Heartbeat(beats, every=FAST, lease=timedelta(seconds=60)):
        assert beats.seen.wait(5)

    assert beats.contexts[0] == {"task_id": "t"}


def test_work_without_a_sign_of_life_fails_with_its_deadline_s_message() -> None:
    beats = Beats(True)

    with (
        pytest.raises(RenderTimeout, match="no frame"),
        Heartbeat(beats, every=FAST, lease=timedelta(seconds=60)) as heartbeat,
        heartbeat.progress_deadline(timedelta(milliseconds=20), "no frame"),
    ):
        assert heartbeat._stop_requested.wait(5)  # noqa: SLF001 (as above)
        raise Stopped


def test_work_that_asks_meets_its_deadline_which_ends_with_its_block() -> None:
    beats = Beats(True)

    with Heartbeat(beats, every=FAST, lease=timedelta(seconds=60)) as heartbeat:
        with heartbeat.progress_deadline(timedelta(seconds=60), "outer"):
            with heartbeat.progress_deadline(timedelta(seconds=1), "inner"):
                end = time.monotonic() + 1.5
                while time.monotonic() < end:
                    assert not heartbeat.should_stop()
                    time.sleep(0.01)
            assert not heartbeat._stop_requested.wait(1.2)  # noqa: SLF001 (the outer one holds again)
        assert not heartbeat.should_stop()


def test_the_work_fails_with_the_error_that_check_returns() -> None:
    beats, found = Beats(True), iter([None, RenderFailed("too much"), None])

    with (
        pytest.raises(RenderFailed, match="too much"),
        Heartbeat(beats, every=FAST, lease=timedelta(seconds=60), check=lambda: next(found)) as heartbeat,
    ):
        assert heartbeat._stop_requested.wait(5)  # noqa: SLF001 (as above)
        raise Stopped


def _spin_in_a_pool(told: Connection, mark: str) -> None:
    watchdog.allow_ending_process()
    error = RenderFailed("too much")

    def settle(given: ServiceError | None) -> None:
        told.send((mark, given is error))

    with Heartbeat(
        lambda: True, every=FAST, lease=timedelta(seconds=60), check=lambda: error, abandon=settle
    ):
        while True:
            pass


def test_a_pool_process_whose_work_hangs_settles_it_and_ends() -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_spin_in_a_pool, args=(theirs, "settled"))
    process.start()
    try:
        assert ours.poll(30)
        assert ours.recv() == ("settled", True)
        process.join(10)
        assert process.exitcode == watchdog.ABANDONED
    finally:
        process.kill()
        process.join()
