"""The asynchronous client driven from blocking code, so that one test serves both clients."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from anyio.from_thread import start_blocking_portal

from scenemill import AsyncScenemill, Scenemill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    import httpx
    from anyio.from_thread import BlockingPortal

CLIENTS = ("blocking", "asyncio", "trio")
END = object()


class Bridge:
    """A part of the asynchronous client, whose calls block."""

    def __init__(self, portal: BlockingPortal, part: Any) -> None:
        self._portal = portal
        self._part = part

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        return self._call(found) if callable(found) else Bridge(self._portal, found)

    def _call(self, method: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            if inspect.iscoroutinefunction(method):
                return self._portal.call(lambda: method(*args, **kwargs))
            return self._values(self._portal.call(lambda: method(*args, **kwargs)))

        return call

    def _values(self, values: AsyncIterator[Any]) -> Iterator[Any]:
        try:
            while (value := self._portal.call(anext, values, END)) is not END:
                yield value
        finally:
            self._portal.call(values.aclose)  # type: ignore[attr-defined]


@contextmanager
def connect(
    kind: str, *args: Any, on_request: Callable[[httpx.Request], None] | None = None, **kwargs: Any
) -> Iterator[Any]:
    """Give a client of this kind, as one that blocks. `on_request` sees every request that it sends."""

    async def hook(request: httpx.Request) -> None:
        if on_request:
            on_request(request)

    if kind == "blocking":
        with Scenemill(*args, **kwargs) as client:
            client._http.event_hooks["request"] = [on_request] if on_request else []  # noqa: SLF001
            yield client
        return
    with start_blocking_portal(kind) as portal:
        client = portal.call(lambda: AsyncScenemill(*args, **kwargs))
        client._http.event_hooks["request"] = [hook]  # noqa: SLF001
        try:
            yield Bridge(portal, client)
        finally:
            portal.call(client.close)
