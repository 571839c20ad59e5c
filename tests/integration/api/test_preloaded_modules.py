"""What gunicorn's master imports for its workers is there before gevent is: it must keep nothing that gevent replaces."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.services  # it imports in a process of its own, which takes a second

PROGRAM = """
import importlib, json, queue, select, socket, ssl, sys, threading, time
from api import gunicorn

replaced = {
    id(getattr(module, name)): f"{module.__name__}.{name}"
    for module, names in {
        queue: ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"),
        select: ("select", "poll"),
        socket: ("socket", "create_connection", "getaddrinfo"),
        ssl: ("SSLContext", "SSLSocket"),
        threading: ("Lock", "RLock", "Event", "Condition", "Semaphore", "Thread", "local", "get_ident"),
        time: ("sleep",),
    }.items()
    for name in names
}
before = set(sys.modules)
for name in (*gunicorn._PRELOADED_MODULES, *sys.argv[1:]):
    importlib.import_module(name)
kept = [
    f"{name} keeps {replaced[id(value)]}"
    for name in set(sys.modules) - before
    for value in list(vars(sys.modules[name]).values())
    if id(value) in replaced
]
ours = [name for name in set(sys.modules) - before if name.split(".")[0] in ("api", "shared")]
print(json.dumps({"kept": kept, "ours": ours}))
"""


def imported(*more: str) -> dict[str, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *more], check=True, stdout=subprocess.PIPE, timeout=60
    )
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


# Held for a few operations on dictionaries, in which no greenlet yields; click's is of the command line alone.
HARMLESS = {
    "werkzeug.routing.map keeps threading.Lock",
    "jinja2.utils keeps threading.Lock",
    "click.globals keeps threading.local",
}


def test_preloaded_modules_hold_nothing_that_gevent_patches():
    found = imported()

    assert set(found["kept"]) <= HARMLESS
    assert found["ours"] == []


def test_a_module_that_holds_an_unpatched_sleep_is_detected():
    assert any(each.startswith("redis") and "sleep" in each for each in imported("redis")["kept"])
