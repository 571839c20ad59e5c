"""Perform the steps of calls: one driver blocks, the other one awaits."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread
import httpx

from scenemill.core.sending import send
from scenemill.core.steps import (
    Blocking,
    Done,
    Exchange,
    Item,
    Outcome,
    Policy,
    Read,
    Request,
    Sleep,
    advance,
)
from scenemill.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from httpx._client import UseClientDefault

    from scenemill.core.retry import Retry
    from scenemill.core.steps import Flow, Items, Step

T = TypeVar("T")


class Driver:
    """Performs calls and blocks meanwhile."""

    def __init__(self, http: httpx.Client, retry: Retry) -> None:
        self.http = http
        self.retry = retry

    def run(self, flow: Flow[T]) -> T:
        """Return the result of a call."""
        with ExitStack() as streams:
            return _Run(self, streams).finish(flow)

    def iterate(self, flow: Items[T]) -> Iterator[T]:
        """Give the values of a call as they come."""
        with ExitStack() as streams:
            run, outcome = _Run(self, streams), Outcome()
            streams.callback(flow.close)
            while not isinstance(step := advance(flow, outcome), Done):
                if isinstance(step, Item):
                    yield step.value
                    outcome = Outcome()
                else:
                    outcome = run.perform(step)


class _Run:
    """One call in progress, with the streams that it has open."""

    def __init__(self, driver: Driver, streams: ExitStack) -> None:
        self._driver = driver
        self._streams = streams
        self._readers: dict[int, Iterator[bytes]] = {}

    def finish(self, flow: Flow[T]) -> T:
        outcome = Outcome()
        try:
            while not isinstance(step := advance(flow, outcome), Done):
                outcome = self.perform(step)
        finally:
            flow.close()
        value: T = step.value
        return value

    def perform(self, step: Step) -> Outcome:
        try:
            return Outcome(self._reply(step))
        except Exception as error:  # noqa: BLE001 (the call decides what an error means)
            return Outcome(error=error)

    def _reply(self, step: Step) -> Any:
        match step:
            case Request():
                return self.finish(send(step, self._driver.retry, str(self._driver.http.base_url)))
            case Exchange(request):
                return self._exchange(request)
            case Read(response):
                return next(self._readers[id(response)], b"")
            case Sleep(seconds):
                return time.sleep(seconds)
            case Policy():
                return self._driver.retry
            case Blocking(function):
                return function()

    def _exchange(self, request: Request) -> httpx.Response:
        http = self._driver.http
        content = request.body.blocks() if request.body else None
        built = _ours(http.build_request(**_options(request, http.timeout), content=content), http.base_url)
        response = http.send(built, stream=request.stream, auth=_auth(request))
        if request.stream:
            self._streams.callback(response.close)
            if response.status_code >= 400:
                response.read()
            self._readers[id(response)] = response.iter_bytes()
        return response


class AsyncDriver:
    """Performs calls on an event loop."""

    def __init__(self, http: httpx.AsyncClient, retry: Retry) -> None:
        self.http = http
        self.retry = retry

    async def run(self, flow: Flow[T]) -> T:
        """Return the result of a call."""
        async with AsyncExitStack() as streams:
            return await _AsyncRun(self, streams).finish(flow)

    async def iterate(self, flow: Items[T]) -> AsyncIterator[T]:
        """Give the values of a call as they come."""
        async with AsyncExitStack() as streams:
            run, outcome = _AsyncRun(self, streams), Outcome()
            streams.callback(flow.close)
            while not isinstance(step := advance(flow, outcome), Done):
                if isinstance(step, Item):
                    yield step.value
                    outcome = Outcome()
                else:
                    outcome = await run.perform(step)


class _AsyncRun:
    """One call in progress, with the streams that it has open."""

    def __init__(self, driver: AsyncDriver, streams: AsyncExitStack) -> None:
        self._driver = driver
        self._streams = streams
        self._readers: dict[int, AsyncIterator[bytes]] = {}

    async def finish(self, flow: Flow[T]) -> T:
        outcome = Outcome()
        try:
            while not isinstance(step := advance(flow, outcome), Done):
                outcome = await self.perform(step)
        finally:
            flow.close()
        value: T = step.value
        return value

    async def perform(self, step: Step) -> Outcome:
        try:
            return Outcome(await self._reply(step))
        except Exception as error:  # noqa: BLE001 (the call decides what an error means)
            return Outcome(error=error)

    async def _reply(self, step: Step) -> Any:
        match step:
            case Request():
                return await self.finish(send(step, self._driver.retry, str(self._driver.http.base_url)))
            case Exchange(request):
                return await self._exchange(request)
            case Read(response):
                return await anext(self._readers[id(response)], b"")
            case Sleep(seconds):
                return await anyio.sleep(seconds)
            case Policy():
                return self._driver.retry
            case Blocking(function):
                return await anyio.to_thread.run_sync(function)

    async def _exchange(self, request: Request) -> httpx.Response:
        http = self._driver.http
        content = request.body.async_blocks() if request.body else None
        built = _ours(http.build_request(**_options(request, http.timeout), content=content), http.base_url)
        response = await http.send(built, stream=request.stream, auth=_auth(request))
        if request.stream:
            self._streams.push_async_callback(response.aclose)
            if response.status_code >= 400:
                await response.aread()
            self._readers[id(response)] = response.aiter_bytes()
        return response


def _auth(request: Request) -> httpx.Auth | UseClientDefault | None:
    return None if request.anonymous else httpx.USE_CLIENT_DEFAULT


def _ours(request: httpx.Request, base: httpx.URL) -> httpx.Request:
    """Refuse an address elsewhere that an answer named: our key would go there."""
    if (request.url.scheme, request.url.netloc) != (base.scheme, base.netloc):
        raise IntegrityError(f"The API names an address on another host: {request.url}.")
    return request


def _options(request: Request, timeout: httpx.Timeout) -> Mapping[str, Any]:
    """Return how httpx is asked for a request."""
    if request.read_timeout is not None:
        timeout = httpx.Timeout(
            connect=timeout.connect, read=request.read_timeout, write=timeout.write, pool=timeout.pool
        )
    return {
        "method": request.method,
        "url": request.path,
        "params": request.query or None,
        "headers": dict(request.headers),
        "timeout": timeout,
    }
