"""The heartbeat beside a piece of work."""

from __future__ import annotations

import threading
from datetime import timedelta

from shared.errors import Unavailable
from shared.logs import bind, bound_fields
from tasks.heartbeat import Heartbeat

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


def test_work_is_wanted_until_a_beat_says_no() -> None:
    beats = Beats(True, True, False)

    with Heartbeat(beats, every=FAST, lease=timedelta(seconds=60)) as heartbeat:
        assert not heartbeat.should_stop()
        assert heartbeat._stop_requested.wait(5)  # noqa: SLF001 (waits for the very thing that `unwanted` looks at)

    assert heartbeat.should_stop()


def test_a_beat_that_fails_once_is_forgiven_within_the_lease() -> None:
    beats = Beats(Unavailable("away"), ValueError("odd"), True)

    with Heartbeat(beats, every=FAST, lease=timedelta(seconds=60)) as heartbeat:
        assert beats.seen.wait(5)

    assert not heartbeat.should_stop()


def test_no_beat_within_the_lease_ends_the_work() -> None:
    beats = Beats(Unavailable("away"))

    with Heartbeat(beats, every=FAST, lease=timedelta(milliseconds=30)) as heartbeat:
        assert heartbeat._stop_requested.wait(5)  # noqa: SLF001 (as above)


def test_its_lines_carry_the_context_of_the_work() -> None:
    beats = Beats(True)

    with bind(task_id="t"), Heartbeat(beats, every=FAST, lease=timedelta(seconds=60)):
        assert beats.seen.wait(5)

    assert beats.contexts[0] == {"task_id": "t"}
