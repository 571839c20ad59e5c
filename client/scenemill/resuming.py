"""Uploads a file in pieces by tus 1.0.0, and goes on where it broke off: also one that another run has begun."""

from __future__ import annotations

import hashlib
import socket
import time
import uuid
from typing import TYPE_CHECKING

import httpx

from scenemill import retries
from scenemill.errors import ApiError, IntegrityError, Unreachable, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}
PATH = "/v1/uploads"
CHUNK = 1 << 20
FIRST = (
    64 * 1024
)  # bytes that come along at once, so that what is not taken is refused before the rest is sent
# Somebody writes to the upload, most often we ourselves, by a connection that broke without the server's knowing yet.
BUSY = (409, 423)
OVER = (404, 410)
PATIENCE = 60.0  # seconds that no byte more may arrive


class Over(Exception):
    """The upload is no longer there, or became something else than our file: another must be begun."""


class Resumable:
    """One file on its way. `ask` sends a request, again where that helps, and raises what its answer means."""

    def __init__(self, path: Path, ask: Callable[..., httpx.Response], http: httpx.Client) -> None:
        self._path = path
        self._ask = ask
        self._http = http
        self._size = path.stat().st_size

    def run(self) -> dict[str, object]:
        """Upload the file, and return its asset; or raise what stands against it."""
        # By the same key the server gives the upload that an earlier run has begun, of the same file as far as we know.
        for key in (self._key(), str(uuid.uuid4())):
            try:
                return self._under(key)
            except Over:
                continue
        raise IntegrityError(
            f"{self._path} has changed, or arrived damaged: what was stored is another file."
        )

    def _under(self, key: str) -> dict[str, object]:
        first = min(FIRST, self._size)
        headers = {
            **PIECE,
            "Upload-Length": str(self._size),
            "Content-Length": str(first),
            "Idempotency-Key": key,
        }
        created = self._call("POST", PATH, headers=headers, content=lambda: self._blocks(0, first))
        asset = self._call("GET", self._send_all(_path(created))).json()
        with self._path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != asset["sha256"]:
                raise Over
        return dict(asset)

    def _send_all(self, url: str) -> str:
        """Send what is missing, however often it breaks off, and return where the asset is."""
        best, until, tries = -1, time.monotonic() + PATIENCE, 0
        while True:
            seen = self._call("HEAD", url, headers=TUS)
            offset = int(seen.headers["Upload-Offset"])
            if "Location" in seen.headers:
                return _path(seen)
            if offset > best:
                best, until, tries = offset, time.monotonic() + PATIENCE, 0
            outcome = self._send(url, offset)
            if isinstance(outcome, httpx.Response) and "Location" in outcome.headers:
                return _path(outcome)
            tries += 1
            self._bear(outcome, until)
            time.sleep(retries.pause(tries, outcome))

    def _send(self, url: str, offset: int) -> httpx.Response | httpx.TransportError:
        left = self._size - offset
        headers = {**PIECE, "Content-Length": str(left), "Upload-Offset": str(offset)}
        try:
            return self._http.patch(url, headers=headers, content=self._blocks(offset, left))
        except httpx.TransportError as error:
            return error

    def _bear(self, outcome: httpx.Response | httpx.TransportError, until: float) -> None:
        """Raise what cannot be helped by going on."""
        if isinstance(outcome, httpx.TransportError):
            if time.monotonic() > until:
                raise Unreachable(f"{self._path} could not be uploaded: {outcome}") from outcome
            return
        passing = outcome.status_code in BUSY or retries.worth_it(outcome, idempotent=True)
        if outcome.status_code in OVER:
            raise Over
        if outcome.status_code >= 400 and (not passing or time.monotonic() > until):
            raise refusal(outcome)

    def _blocks(self, offset: int, left: int) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            file.seek(offset)
            while left > 0 and (block := file.read(min(CHUNK, left))):
                left -= len(block)
                yield block

    def _call(self, method: str, url: str, **options: object) -> httpx.Response:
        try:
            return self._ask(method, url, idempotent=True, **options)
        except ApiError as error:
            if error.status in OVER:
                raise Over from error
            raise

    def _key(self) -> str:
        """Return a name of this file as it is now, on this machine."""
        found = self._path.stat()
        facts = (
            socket.gethostname(),
            str(self._path.resolve()),
            found.st_ino,
            found.st_size,
            found.st_mtime_ns,
        )
        return "file-" + hashlib.sha256(repr(facts).encode()).hexdigest()


def _path(answer: httpx.Response) -> str:
    """Return the path of `Location` alone: our key goes to no other host."""
    return httpx.URL(answer.headers["Location"]).raw_path.decode()
