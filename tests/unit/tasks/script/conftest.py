"""What these tests share."""

from __future__ import annotations

import time

import pytest


@pytest.fixture
def benchmark_seconds():
    """Return how many seconds a call takes."""

    def measure(call):
        start = time.process_time()
        call()
        return time.process_time() - start

    return measure
