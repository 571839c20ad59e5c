"""Bodies as a process reads them that serves its requests as greenlets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

READING = """
from gevent import monkey
monkey.patch_all()
import io
import gevent
from flask import Flask
from api.http import bodies

SIZE = 20 * bodies.CHUNK_BYTES
turns = 0

def other():
    global turns
    while True:
        turns += 1
        gevent.sleep(0)

gevent.spawn(other)
with Flask("reading").test_request_context(method="POST", input_stream=io.BytesIO(bytes(SIZE)), content_length=SIZE):
    assert sum(map(len, bodies.read_chunks(SIZE))) == SIZE
print(turns)
"""


def test_a_fast_sender_does_not_block_other_requests() -> None:
    done = subprocess.run(
        [sys.executable, "-c", READING],
        cwd=Path(__file__).parents[3],
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 20  # one for each chunk, though none of them was waited for
