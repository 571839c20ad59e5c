"""Runs what blocks beside the other requests: under gevent in a native thread, else where it stands.

It is for waiting on the disk, which gevent knows nothing of. No process is started there: a fork beside
greenlets that hold locks may never come back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

import gevent
from gevent import monkey

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


def cooperative() -> bool:
    """Whether this process serves its requests as greenlets."""
    return bool(monkey.is_module_patched("socket"))


def run(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return what the function returns; other requests go on meanwhile."""
    if not cooperative():
        return function(*args, **kwargs)
    return cast("R", gevent.get_hub().threadpool.apply(function, args, kwargs))
