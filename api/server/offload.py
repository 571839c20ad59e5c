"""Runs what would hold all other requests up beside them: under gevent in a native thread, else where it stands.

It is for waiting on the disk, which gevent knows nothing of, and for seconds of computing. No process is started
there: a fork beside greenlets that hold locks may never come back.
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
    """Whether this process serves its requests as greenlets."""
    return bool(monkey.is_module_patched("socket"))


def run(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return what the function returns; other requests go on meanwhile."""
    if not is_cooperative():
        return function(*args, **kwargs)
    # An error comes back as a value: gevent writes the traceback of one that is raised there past the log.
    found, error = gevent.get_hub().threadpool.apply(_call_catching, (function, args, kwargs))
    if error is not None:
        raise error
    return cast("R", found)


def run_if_large(size: int, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return what the function returns, run aside where `size` bytes of input may keep it busy for long."""
    return run(function, *args, **kwargs) if size > LARGE_BYTES else function(*args, **kwargs)


def _call_catching(
    function: Callable[..., R], args: tuple[object, ...], kwargs: dict[str, object]
) -> tuple[R | None, Exception | None]:
    try:
        return function(*args, **kwargs), None
    except Exception as error:  # noqa: BLE001 - raised again by the caller
        return None, error
