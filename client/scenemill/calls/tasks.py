"""Tasks: looked at, listed, followed to their end, canceled, retried and deleted."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import httpx

from scenemill.calls.reading import body, identity, nothing, one, pages, parsed
from scenemill.core import events, requests
from scenemill.core.retry import retry_after
from scenemill.core.steps import ask, sleep
from scenemill.errors import TaskFailed, WaitTimeout
from scenemill.types.tasks import Event, Task

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from scenemill.calls.reading import Reference
    from scenemill.core.steps import Flow, Items, Request
    from scenemill.types.jobs import Kind
    from scenemill.types.tasks import Status

HELD = 20.0  # seconds that the server may hold a request until the task changes
NEXT_LOOK, LONGEST_LOOK = 1.0, 20.0
QUICK = 0.5  # seconds within which an answer was not held


def get(task: Reference, *, wait: float | None = None, signed_links: bool = False) -> Flow[Task]:
    """Return a task as it is now. With `wait` seconds (at most 60), an unfinished one as soon as it changes.

    With `signed_links`, each artifact has a `signed_url` that needs no key for 24 hours.
    """
    where = requests.path("/v1/tasks/{}", identity(task))
    links = "signed" if signed_links else None
    return (yield from one(Task, requests.get(where, wait=wait, links=links)))


def listed(  # noqa: PLR0913 (each is a filter of the route)
    *,
    status: Status | tuple[Status, ...] | None = None,
    kind: Kind | None = None,
    batch: Reference | None = None,
    created_after: datetime | str | None = None,
    created_before: datetime | str | None = None,
    q: str | None = None,
    limit: int | None = None,
    signed_links: bool = False,
) -> Items[Task]:
    """Give tasks, newest first, `limit` at most. `q` finds a `custom_id`, or metadata as `name:value`.

    With `signed_links`, each artifact has a `signed_url` that needs no key for 24 hours.
    """
    yield from pages(
        Task,
        "/v1/tasks",
        limit,
        status=status,
        kind=kind,
        batch_id=identity(batch) if batch is not None else None,
        created_after=created_after,
        created_before=created_before,
        q=q,
        links="signed" if signed_links else None,
    )


def wait(
    task: Reference,
    *,
    timeout: float | None = None,
    on_change: Callable[[Task], object] | None = None,
    check: bool = True,
) -> Flow[Task]:
    """Wait for a task's end and return it.

    Raises TaskFailed where it ended as failed or canceled, unless `check` is false, and WaitTimeout after `timeout`
    seconds; the task goes on then. `on_change` is called with each new state, the first one included.
    """
    until = None if timeout is None else time.monotonic() + timeout
    etag: str | None = None
    while True:
        left = HELD if until is None else max(0.0, until - time.monotonic())
        looked = time.monotonic()
        answer = yield from ask(_look(task, etag, left))
        if answer.status_code != httpx.codes.NOT_MODIFIED:
            etag, seen = answer.headers.get("etag"), parsed(Task, body(answer))
            if on_change is not None:
                on_change(seen)
            if seen.finished:
                break
        if until is not None and timeout is not None and time.monotonic() >= until:
            raise WaitTimeout(seen, timeout)
        # Where the server did not hold the request, it may be busy: ask as seldom as it wishes.
        if answer.status_code == httpx.codes.NOT_MODIFIED and time.monotonic() - looked < QUICK:
            yield from sleep(_until_next_look(answer, until))
    if check and seen.status != "succeeded":
        raise TaskFailed(seen)
    return seen


def _look(task: Reference, etag: str | None, left: float) -> Request:
    """Return a request for a task that differs from what was seen: held until it does, in the first look not at all."""
    where = requests.path("/v1/tasks/{}", identity(task))
    if etag is None:
        return requests.get(where)
    return requests.get(where, headers={"If-None-Match": etag}, wait=round(min(left, HELD), 3))


def _until_next_look(answer: httpx.Response, until: float | None) -> float:
    asked = retry_after(answer)
    pause = NEXT_LOOK if asked is None else min(asked, LONGEST_LOOK)
    return pause if until is None else max(0.0, min(pause, until - time.monotonic()))


def watch(task: Reference, *, last_event_id: str | None = None) -> Items[Event[Task]]:
    """Give each change of a task until it has ended. A broken connection goes on where it broke off."""
    where = requests.path("/v1/tasks/{}/events", identity(task))
    yield from events.follow(requests.get(where), last_event_id, _event)


def watch_all(*, last_event_id: str | None = None) -> Items[Event[Task]]:
    """Give each change of every task of the account, without end, from when workers hear of it until it has ended.

    A broken connection goes on where it broke off; it may give an end of the last seconds again.
    """
    yield from events.follow(requests.get("/v1/events"), last_event_id, _event)


def _event(message: events.Message) -> Event[Task]:
    return Event(message.id, message.event, parsed(Task, json.loads(message.data)))


def cancel(task: Reference) -> Flow[Task]:
    """Cancel an unfinished task and return it: `canceling` until what it runs has stopped. A finished one is a 409."""
    return (yield from one(Task, requests.post(requests.path("/v1/tasks/{}/cancel", identity(task)))))


def retry(task: Reference) -> Flow[Task]:
    """Run a failed or canceled task again and return it. What is rendered of it is used again."""
    return (yield from one(Task, requests.post(requests.path("/v1/tasks/{}/retry", identity(task)))))


def delete(task: Reference) -> Flow[None]:
    """Delete a finished task with its files. An unfinished one is a 409."""
    yield from nothing(requests.delete(requests.path("/v1/tasks/{}", identity(task))))
