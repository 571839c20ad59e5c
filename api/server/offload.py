"""Runs blocking work in a native thread under gevent, so that other requests go on; without gevent, in place.

Use it for disk I/O, which gevent cannot make cooperative, and for seconds of computing. Never start a process in it: a fork
beside greenlets that hold locks may deadlock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

import gevent
from gevent import monkey

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")
LARGE_BYTES = 64 * 1024


def is_cooperative() -> bool:
    """Return whether this process serves its requests as greenlets."""
    return bool(monkey.is_module_patched("socket"))


def run(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call the function in a thread, and return its result; other requests go on meanwhile."""
    if not is_cooperative():
        return function(*args, **kwargs)
    # Errors come back as values: gevent prints the traceback of an error raised in its threads to stderr, past our log.
    result, error = gevent.get_hub().threadpool.apply(_call_catching, (function, args, kwargs))
    if error is not None:
        raise error
    return cast("R", result)


def run_if_large(size: int, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call the function, in a thread where `size` bytes of input may keep it busy for long, and return its result."""
    return run(function, *args, **kwargs) if size > LARGE_BYTES else function(*args, **kwargs)


def _call_catching(
    function: Callable[..., R], args: tuple[object, ...], kwargs: dict[str, object]
) -> tuple[R | None, Exception | None]:
    try:
        return function(*args, **kwargs), None
    except Exception as error:  # noqa: BLE001 - raised again by the caller
        return None, error
