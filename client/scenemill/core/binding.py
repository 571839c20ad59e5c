"""Turns calls into methods of the clients: the same call blocks in one and is awaited in the other."""

from __future__ import annotations

import inspect
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from scenemill.core.drivers import AsyncDriver, Driver
    from scenemill.core.steps import Flow, Items

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound="Callable[..., Any]")


class Resource:
    """A group of calls of the blocking client."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver


class AsyncResource:
    """A group of calls of the asynchronous client."""

    def __init__(self, driver: AsyncDriver) -> None:
        self._driver = driver


def call(flow: Callable[P, Flow[T]]) -> Callable[Concatenate[Any, P], T]:
    """Return a method that performs a call and returns its result."""

    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = self._driver.run(flow(*args, **kwargs))
        return result

    return _described(method, flow, "{}")


def iterate(flow: Callable[P, Items[T]]) -> Callable[Concatenate[Any, P], Iterator[T]]:
    """Return a method that gives the values of a call as they come."""

    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        values: Iterator[T] = self._driver.iterate(flow(*args, **kwargs))
        return values

    return _described(method, flow, "Iterator[{}]")


def async_call(flow: Callable[P, Flow[T]]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Return a coroutine method that performs a call and returns its result."""

    async def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = await self._driver.run(flow(*args, **kwargs))
        return result

    return _described(method, flow, "{}")


def async_iterate(flow: Callable[P, Items[T]]) -> Callable[Concatenate[Any, P], AsyncIterator[T]]:
    """Return a method for `async for` that gives the values of a call as they come."""

    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        values: AsyncIterator[T] = self._driver.iterate(flow(*args, **kwargs))
        return values

    return _described(method, flow, "AsyncIterator[{}]")


def _described(method: F, flow: Callable[..., Any], answer: str) -> F:
    """Give a method its call's name, text and signature, as `help` and interactive shells show them."""
    update_wrapper(method, flow)
    of = inspect.signature(flow)
    myself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    result = str(of.return_annotation).partition("[")[2].removesuffix("]")
    described: Any = method
    # Without it the signature would be the call's own, which lacks `self`: a bound method would lose its first parameter.
    described.__signature__ = of.replace(
        parameters=[myself, *of.parameters.values()], return_annotation=answer.format(result)
    )
    return method
