"""Timers fire in order unless they are cancelled."""

from __future__ import annotations

import os
import threading

from shared import timers


def test_timers_fire_in_order() -> None:
    seen: list[str] = []
    done = threading.Event()

    def last() -> None:
        seen.append("last")
        done.set()

    timers.call_later(0.5, last)  # so long that a slow machine has both waiting before one is due
    timers.call_later(0.001, lambda: seen.append("first"))

    assert done.wait(5)
    assert seen == ["first", "last"]


def test_a_cancelled_timer_never_fires() -> None:
    seen: list[str] = []
    done = threading.Event()
    alarm = timers.call_later(0.005, lambda: seen.append("never"))

    assert timers.cancel(alarm)

    timers.call_later(0.01, done.set)
    assert done.wait(5)
    assert seen == []


def test_a_timer_that_fired_cannot_be_cancelled() -> None:
    done = threading.Event()
    alarm = timers.call_later(0, done.set)
    assert done.wait(5)

    assert not timers.cancel(alarm)


def test_an_error_in_one_call_does_not_stop_the_others() -> None:
    done = threading.Event()

    timers.call_later(0, lambda: 1 / 0)
    timers.call_later(0.001, done.set)

    assert done.wait(5)


def test_a_forked_child_has_its_own_timers() -> None:
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
