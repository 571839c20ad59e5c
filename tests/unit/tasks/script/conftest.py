"""What these tests share."""

from __future__ import annotations

import time

import pytest


@pytest.fixture
def benchmark_seconds():
    """Return how many seconds a call takes."""

    def measure(call):
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    return measure
