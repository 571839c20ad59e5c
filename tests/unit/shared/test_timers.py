"""What is to begin after a while, unless it is called off before."""

from __future__ import annotations

import os
import threading

from shared import timers


def test_what_is_due_is_called_in_its_order() -> None:
    seen: list[str] = []
    done = threading.Event()

    def last() -> None:
        seen.append("last")
        done.set()

    timers.call_later(0.5, last)  # so long that a slow machine has both waiting before one is due
    timers.call_later(0.001, lambda: seen.append("first"))

    assert done.wait(5)
    assert seen == ["first", "last"]


def test_what_is_called_off_is_never_called() -> None:
    seen: list[str] = []
    done = threading.Event()
    alarm = timers.call_later(0.005, lambda: seen.append("never"))

    assert timers.cancel(alarm)

    timers.call_later(0.01, done.set)
    assert done.wait(5)
    assert seen == []


def test_what_was_called_cannot_be_called_off() -> None:
    done = threading.Event()
    alarm = timers.call_later(0, done.set)
    assert done.wait(5)

    assert not timers.cancel(alarm)


def test_one_surprise_does_not_keep_the_others_from_being_called() -> None:
    done = threading.Event()

    timers.call_later(0, lambda: 1 / 0)
    timers.call_later(0.001, done.set)

    assert done.wait(5)


def test_a_forked_child_has_alarms_of_its_own() -> None:
    waited = timers.call_later(60, threading.Event().set)
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        called = threading.Event()
        timers.call_later(0.001, called.set)
        os.write(writes, b"y" if called.wait(5) else b"n")
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(reads, 1) == b"y"

    assert timers.cancel(waited)
    os.close(reads)
    os.close(writes)
