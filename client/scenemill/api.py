"""Every call of the HTTP API as a method: typed, with time limits, and with retries where these can do no harm."""

from __future__ import annotations

import hashlib
import time
import uuid
from typing import TYPE_CHECKING, Any, Self

import httpx

from scenemill import retries
from scenemill.auth import KeyAuth, TokenAuth, by_password
from scenemill.errors import IntegrityError, Unreachable, refusal
from scenemill.resuming import Resumable
from scenemill.values import Artifact, Asset, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
CHUNK = 1 << 20
LARGE = 8 << 20  # bytes from which on a file goes in pieces
MEDIA_TYPE = "application/octet-stream"  # the server goes by the bytes


class Scenemill:
    """A connection to one Scenemill. Use it as a context manager, or call `close`.

    It opens by an API key, or by a user's name and password: then it logs in and renews its tokens by itself. `auth` may
    be a `TokenAuth` made otherwise.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        username: str | None = None,
        password: str | None = None,
        auth: httpx.Auth | None = None,
        timeout: httpx.Timeout = TIMEOUT,
        tries: int = 5,
    ) -> None:
        self._tries = tries
        self._http = httpx.Client(
            base_url=base_url.rstrip("/"),
            auth=auth or _auth(api_key, username, password),
            headers={"User-Agent": "scenemill-client"},
            timeout=timeout,
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def submit(self, job: dict[str, Any], *, idempotency_key: str | None = None) -> Task:
        """Accept a job. Sent twice with one key, it is one job."""
        key = idempotency_key or str(uuid.uuid4())
        answer = self._call("POST", "/v1/jobs", json=job, headers={"Idempotency-Key": key}, idempotent=True)
        return Task.from_json(answer.json())

    def task(self, task_id: str) -> Task:
        """Return a task as it is now."""
        return Task.from_json(self._call("GET", f"/v1/tasks/{task_id}").json())

    def tasks(self, *, limit: int = 50, **filters: str) -> Iterator[Task]:
        """Give tasks, newest first, `limit` at most. `filters`: kind, status, batch_id and the like."""
        cursor: str | None = None
        left = limit
        while left > 0:
            query: dict[str, str | int] = {**filters, "limit": min(left, 200)}
            if cursor:
                query["cursor"] = cursor
            page = self._call("GET", "/v1/tasks", params=query).json()
            yield from (Task.from_json(body) for body in page["data"][:left])
            left -= len(page["data"])
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def cancel(self, task_id: str) -> None:
        """Ask for a task's end."""
        self._call("POST", f"/v1/tasks/{task_id}/cancel")

    def delete(self, task_id: str) -> None:
        """Remove a finished task and its files."""
        self._call("DELETE", f"/v1/tasks/{task_id}")

    def wait(self, task_id: str, on_change: Callable[[Task], None] | None = None) -> Task:
        """Follow a task to its end, asking as seldom as the server wishes."""
        etag: str | None = None
        while True:
            headers = {"If-None-Match": etag} if etag else {}
            answer = self._call("GET", f"/v1/tasks/{task_id}", headers=headers)
            if answer.status_code != httpx.codes.NOT_MODIFIED:
                etag = answer.headers.get("etag")
                task = Task.from_json(answer.json())
                if on_change is not None:
                    on_change(task)
                if task.finished:
                    return task
            time.sleep(retries.between_looks(answer))

    def upload(self, path: Path) -> Asset:
        """Upload a file in constant memory. A large one goes on where it broke off, also when it is uploaded again."""
        if path.stat().st_size >= LARGE:
            return Asset.from_json(Resumable(path, self._call, self._http).run())

        def blocks() -> Iterator[bytes]:
            with path.open("rb") as source:
                while block := source.read(CHUNK):
                    yield block

        headers = {"Content-Type": MEDIA_TYPE, "Content-Length": str(path.stat().st_size)}
        answer = self._call("POST", "/v1/assets", content=blocks, headers=headers)
        return Asset.from_json(answer.json())

    def download(self, artifact: Artifact, target: Path) -> Path:
        """Write an artifact to `target`, which appears only when it is whole, or raise IntegrityError."""
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            if self._stream(artifact, draft) != artifact.sha256:
                raise IntegrityError(
                    f"{artifact.name} arrived damaged: its SHA-256 is not the announced one."
                )
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
        return target

    def _stream(self, artifact: Artifact, draft: Path) -> str:
        """Write an artifact's bytes, from the start again when the connection breaks; return their SHA-256."""
        url = self._own(artifact.url)
        failure: httpx.TransportError | None = None
        for number in range(self._tries):
            if failure is not None:
                time.sleep(retries.pause(number, failure))
            try:
                return self._stream_once(url, draft)
            except httpx.TransportError as error:
                failure = error
        raise Unreachable(f"{artifact.name} could not be downloaded: {failure}") from failure

    def _stream_once(self, url: str, draft: Path) -> str:
        digest = hashlib.sha256()
        with self._http.stream("GET", url) as answer, draft.open("wb") as file:
            if answer.status_code != httpx.codes.OK:
                answer.read()
                raise refusal(answer)
            for block in answer.iter_bytes(CHUNK):
                file.write(block)
                digest.update(block)
        return digest.hexdigest()

    def _own(self, url: str) -> str:
        """Refuse an address elsewhere: our key would go there."""
        if self._http.base_url.join(url).netloc != self._http.base_url.netloc:
            raise IntegrityError("The API names an artifact on another host.")
        return url

    def _call(
        self,
        method: str,
        path: str,
        *,
        idempotent: bool | None = None,
        content: Callable[[], Iterator[bytes]] | None = None,
        **options: Any,
    ) -> httpx.Response:
        """Send a request, again where that helps, and return the answer, or raise what it means."""
        safe = method in ("GET", "DELETE") if idempotent is None else idempotent
        for number in range(self._tries):
            outcome = self._once(method, path, content() if content else None, options)
            good = isinstance(outcome, httpx.Response) and outcome.status_code < 400
            if good or not retries.worth_it(outcome, idempotent=safe) or number + 1 == self._tries:
                break
            time.sleep(retries.pause(number, outcome))
        if isinstance(outcome, httpx.TransportError):
            raise Unreachable(f"No answer from {self._http.base_url}: {outcome}") from outcome
        if outcome.status_code >= 400:
            raise refusal(outcome)
        return outcome

    def _once(
        self, method: str, path: str, content: Iterator[bytes] | None, options: dict[str, Any]
    ) -> httpx.Response | httpx.TransportError:
        try:
            return self._http.request(method, path, content=content, **options)
        except httpx.TransportError as error:
            return error


def _auth(api_key: str | None, username: str | None, password: str | None) -> httpx.Auth:
    if api_key is not None:
        return KeyAuth(api_key)
    if username is None or password is None:
        raise TypeError("An API key is needed, or a username and a password.")
    return TokenAuth(by_password(username, password))
