"""Reads answers into values, and follows the pages of a list."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from scenemill.core import requests
from scenemill.core.steps import Item, ask
from scenemill.errors import IntegrityError
from scenemill.types.value import decode

if TYPE_CHECKING:
    import httpx

    from scenemill.core.steps import Flow, Items, Request

T = TypeVar("T")
PAGE = 200  # the most that the API gives at a time


class Identified(Protocol):
    """Something that the API knows by an id."""

    @property
    def id(self) -> str:
        """Return the id."""


Reference: TypeAlias = str | Identified


def identity(reference: Reference) -> str:
    """Return the id of what is given as itself or by its id."""
    return reference if isinstance(reference, str) else reference.id


def parsed(kind: type[T], body: Any) -> T:
    """Return a part of an answer as a value, or raise IntegrityError where it is something else."""
    try:
        return decode(kind, body)
    except ValueError as error:
        raise IntegrityError(str(error)) from error


def body(answer: httpx.Response) -> Any:
    """Return an answer's JSON, or raise IntegrityError."""
    try:
        return answer.json()
    except json.JSONDecodeError as error:
        url = answer.request.url
        raise IntegrityError(f"{url} answered no JSON. Is it the address of a Scenemill API?") from error


def one(kind: type[T], request: Request) -> Flow[T]:
    """Send a request and return its answer as a value."""
    answer = yield from ask(request)
    return parsed(kind, body(answer))


def nothing(request: Request) -> Flow[None]:
    """Send a request whose answer says nothing."""
    yield from ask(request)


def whole(kind: type[T], where: str, **query: Any) -> Flow[tuple[T, ...]]:
    """Return a list that comes as a whole."""
    answer = yield from ask(requests.get(where, **query))
    return tuple(parsed(kind, each) for each in body(answer)["data"])


def pages(model: type[T], where: str, limit: int | None, /, **query: Any) -> Items[T]:
    """Give the entries of a list, page by page, `limit` at most. A page is fetched when its first entry is asked for."""
    left, cursor = limit, None
    while left is None or left > 0:
        size = PAGE if left is None else min(left, PAGE)
        answer = yield from ask(requests.get(where, **query, limit=size, cursor=cursor))
        page = body(answer)
        for each in page["data"][:size]:
            yield Item(parsed(model, each))
        if left is not None:
            left -= len(page["data"])
        cursor = page.get("next_cursor")
        if cursor is None:
            return
