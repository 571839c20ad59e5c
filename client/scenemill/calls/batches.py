"""Batches: from lists, from generators of any length, from files, and from tables that fill a template."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from scenemill.calls.reading import identity, one, pages, parsed
from scenemill.core import bodies, events, requests
from scenemill.core.steps import Item, ask, blocking, policy, read, sleep
from scenemill.errors import Unreachable, WaitTimeout
from scenemill.types.batches import AcceptedBatch, Batch
from scenemill.types.tasks import Event, Task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from scenemill.calls.reading import Reference
    from scenemill.core.steps import Flow, Items, Request
    from scenemill.types.batches import BatchWebhook, OnInvalid
    from scenemill.types.jobs import Job, JobDefaults, Kind
    from scenemill.types.tasks import Status

BATCH = "/v1/batch"
LINES, TABLE = "application/x-ndjson", "text/csv"
BLOCK = 64 * 1024
LOOK, LONGEST_LOOK = 1.0, 15.0


def submit(
    jobs: Iterable[Job | Mapping[str, Any]] | AsyncIterable[Job | Mapping[str, Any]],
    *,
    defaults: JobDefaults | Mapping[str, Any] | None = None,
    on_invalid: OnInvalid | None = None,
    webhook: BatchWebhook | None = None,
    idempotency_key: str | None = None,
) -> Flow[AcceptedBatch]:
    """Submit many jobs at once: all are accepted, or none; with `on_invalid="skip"`, those that are valid.

    A list goes as one JSON document. A generator is streamed, a job a line, so that it is never in memory as a whole;
    an asynchronous one needs AsyncScenemill. A job's own members win over `defaults`.
    """
    if isinstance(jobs, Sequence):
        document = requests.given(jobs=list(jobs), defaults=defaults, on_invalid=on_invalid, webhook=webhook)
        return (
            yield from one(AcceptedBatch, requests.create(BATCH, requests.encoded(document), idempotency_key))
        )
    lines = _async_lines(jobs, defaults) if isinstance(jobs, AsyncIterable) else _lines(jobs, defaults)
    with bodies.Recorded(lines) as body:
        request = _request(body, LINES, idempotency_key, on_invalid=on_invalid, webhook=webhook)
        return (yield from one(AcceptedBatch, request))


def submit_file(
    path: str | Path,
    *,
    template: Reference | None = None,
    template_version: int | None = None,
    on_invalid: OnInvalid | None = None,
    webhook: BatchWebhook | None = None,
    idempotency_key: str | None = None,
) -> Flow[AcceptedBatch]:
    """Submit the jobs of a file, streamed from the disk.

    `.ndjson` and `.jsonl` hold a job a line. `.csv` is a table whose columns are the fields of `template`. `.json` is a
    list of jobs, or a whole batch with its defaults.
    """
    file = Path(path)
    if file.suffix.lower() == ".json":
        return (yield from _submit_document(file, on_invalid, webhook, idempotency_key))
    if file.suffix.lower() not in (".ndjson", ".jsonl", ".csv"):
        raise ValueError(f"{file}: a batch comes from a .json, .ndjson, .jsonl or .csv file.")
    media_type = TABLE if file.suffix.lower() == ".csv" else LINES
    if (media_type == TABLE) != (template is not None):
        raise ValueError(f"{file}: a .csv needs the template that its rows fill, and nothing else has one.")
    request = _request(
        bodies.Blocks(lambda: _blocks(file)),
        media_type,
        idempotency_key,
        on_invalid=on_invalid,
        webhook=webhook,
        template_id=identity(template) if template is not None else None,
        template_version=template_version,
    )
    return (yield from one(AcceptedBatch, request))


def submit_csv(
    table: str | bytes,
    template: Reference,
    *,
    template_version: int | None = None,
    on_invalid: OnInvalid | None = None,
    webhook: BatchWebhook | None = None,
    idempotency_key: str | None = None,
) -> Flow[AcceptedBatch]:
    """Submit a table whose columns are the fields of a template: a job a row. A column `custom_id` becomes the job's."""
    content = table.encode() if isinstance(table, str) else table
    request = _request(
        bodies.Bytes(content),
        TABLE,
        idempotency_key,
        on_invalid=on_invalid,
        webhook=webhook,
        template_id=identity(template),
        template_version=template_version,
    )
    return (yield from one(AcceptedBatch, request))


def get(batch: Reference) -> Flow[Batch]:
    """Return how far a batch is."""
    return (yield from one(Batch, requests.get(_path(batch))))


def tasks(  # noqa: PLR0913 (each is a filter of the route)
    batch: Reference,
    *,
    status: Status | tuple[Status, ...] | None = None,
    kind: Kind | None = None,
    created_after: datetime | str | None = None,
    created_before: datetime | str | None = None,
    q: str | None = None,
    limit: int | None = None,
    signed_links: bool = False,
) -> Items[Task]:
    """Give the tasks of a batch in the order of its jobs, with `signed_url` in each artifact if `signed_links`."""
    filters = {"status": status, "kind": kind, "q": q}
    dates = {"created_after": created_after, "created_before": created_before}
    links = "signed" if signed_links else None
    yield from pages(Task, _path(batch, "/tasks"), limit, **filters, **dates, links=links)


def results(batch: Reference) -> Items[Task]:
    """Give every task of a batch as it is now, in the order of its jobs, streamed. A broken stream goes on."""
    request = replace(requests.get(_path(batch, "/results")), stream=True)
    given: set[str] = set()
    retry = yield from policy()
    for number in range(retry.attempts):
        answer = yield from ask(request)
        rest = b""
        try:
            while block := (yield from read(answer)):
                *lines, rest = (rest + block).split(b"\n")
                for line in filter(None, lines):
                    task = parsed(Task, json.loads(line))
                    # After a break the stream begins anew.
                    if task.task_id not in given:
                        given.add(task.task_id)
                        yield Item(task)
        except httpx.TransportError as error:
            broken = error
        else:
            return
        yield from sleep(retry.pause(number))
    raise Unreachable(f"The results broke off {retry.attempts} times: {broken}") from broken


def wait(
    batch: Reference,
    *,
    timeout: float | None = None,
    on_change: Callable[[Batch], object] | None = None,
) -> Flow[Batch]:
    """Wait until every task of a batch has ended, and return it, or raise WaitTimeout after `timeout` seconds.

    Tasks that failed do not raise: `counts` says how many there are.
    """
    until = None if timeout is None else time.monotonic() + timeout
    last, pause = None, LOOK
    while True:
        seen = yield from get(batch)
        if seen != last and on_change is not None:
            on_change(seen)
        if seen.finished:
            return seen
        left = LONGEST_LOOK if until is None else until - time.monotonic()
        if timeout is not None and left <= 0:
            raise WaitTimeout(seen, timeout)
        pause = LOOK if seen != last else min(LONGEST_LOOK, pause * 1.5)
        last = seen
        yield from sleep(min(pause, left))


def watch(batch: Reference, *, last_event_id: str | None = None) -> Items[Event[Batch]]:
    """Give each change of a batch until every task of it has ended. A broken connection goes on where it broke off."""
    yield from events.follow(requests.get(_path(batch, "/events")), last_event_id, _event)


def cancel(batch: Reference) -> Flow[Batch]:
    """Cancel every unfinished task of a batch, and return it."""
    return (yield from one(Batch, requests.post(_path(batch, "/cancel"))))


def retry(batch: Reference) -> Flow[Batch]:
    """Run every failed task of a batch again, and return it."""
    return (yield from one(Batch, requests.post(_path(batch, "/retry"))))


def _path(batch: Reference, below: str = "") -> str:
    return requests.path("/v1/batch/{}", identity(batch)) + below


def _request(
    body: bodies.Body, media_type: str, key: str | None, *, webhook: BatchWebhook | None, **query: Any
) -> Request:
    """Return a request with a body that has no room for options: they go into the query."""
    url = webhook["url"] if webhook else None
    return requests.create(BATCH, body, key, media_type=media_type, webhook=url, **query)


def _submit_document(
    file: Path, on_invalid: OnInvalid | None, webhook: BatchWebhook | None, key: str | None
) -> Flow[AcceptedBatch]:
    document = yield from blocking(lambda: json.loads(file.read_bytes()))
    whole = {"jobs": document} if isinstance(document, list) else document
    whole = {**whole, **requests.given(on_invalid=on_invalid, webhook=webhook)}
    return (yield from one(AcceptedBatch, requests.create(BATCH, requests.encoded(whole), key)))


def _lines(jobs: Iterable[Any], defaults: Mapping[str, Any] | None) -> Iterator[bytes]:
    """Give jobs as lines, many in a block."""
    block = b""
    for job in jobs:
        block += _line(job, defaults)
        if len(block) >= BLOCK:
            yield block
            block = b""
    if block:
        yield block


async def _async_lines(jobs: AsyncIterable[Any], defaults: Mapping[str, Any] | None) -> AsyncIterator[bytes]:
    block = b""
    async for job in jobs:
        block += _line(job, defaults)
        if len(block) >= BLOCK:
            yield block
            block = b""
    if block:
        yield block


def _line(job: Mapping[str, Any], defaults: Mapping[str, Any] | None) -> bytes:
    return json.dumps({**(defaults or {}), **job}, ensure_ascii=False).encode() + b"\n"


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as source:
        while block := source.read(BLOCK):
            yield block


def _event(message: events.Message) -> Event[Batch]:
    return Event(message.id, message.event, parsed(Batch, json.loads(message.data)))
