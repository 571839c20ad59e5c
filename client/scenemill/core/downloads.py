"""Downloads: a broken connection goes on where it broke off, and the SHA-256 is checked at the end."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field, replace
from functools import partial
from typing import IO, TYPE_CHECKING, Protocol

import httpx

from scenemill.core.steps import ask, blocking, policy, read, sleep
from scenemill.errors import ApiError, IntegrityError, Unreachable

if TYPE_CHECKING:
    from pathlib import Path

    from scenemill.core.steps import Flow, Request

PIECE = 1 << 20
PARTIAL, UNSATISFIABLE = 206, 416


class Described(Protocol):
    """A file as the API announces it."""

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of its bytes, in hexadecimal digits."""


@dataclass
class Draft:
    """What has arrived of a file, with its digest so far."""

    file: IO[bytes]
    size: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    etag: str | None = None

    def append(self, block: bytes) -> None:
        """Write bytes to the end."""
        self.file.write(block)
        self.digest.update(block)
        self.size += len(block)

    def restart(self) -> None:
        """Drop what has arrived: what comes next is the file from its start."""
        self.file.seek(0)
        self.file.truncate()
        self.size, self.digest = 0, hashlib.sha256()

    @property
    def range(self) -> dict[str, str]:
        """Return the headers that ask for what is missing, of the same file."""
        if not self.size or self.etag is None:
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": self.etag}


def to_file(request: Request, described: Described, target: Path) -> Flow[Path]:
    """Write a file to `target`, which appears only when it is whole, or raise IntegrityError."""
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    yield from blocking(lambda: target.parent.mkdir(parents=True, exist_ok=True))
    try:
        with (yield from blocking(lambda: draft.open("w+b"))) as file:
            yield from into(request, described, file, target.name)
        yield from blocking(lambda: draft.replace(target))
    finally:
        draft.unlink(missing_ok=True)
    return target


def into(request: Request, described: Described, file: IO[bytes], name: str) -> Flow[None]:
    """Write the bytes of a file, or raise IntegrityError or Unreachable."""
    draft, breaks, retry = Draft(file), 0, (yield from policy())
    while True:
        before = draft.size
        broken = yield from _continue(request, draft)
        if broken is None:
            break
        breaks = 0 if draft.size > before else breaks + 1
        if breaks >= retry.attempts:
            raise Unreachable(f"{name} could not be downloaded: {broken}") from broken
        yield from sleep(retry.pause(breaks))
    if draft.digest.hexdigest() != described.sha256:
        raise IntegrityError(
            f"{name} arrived damaged: its SHA-256 is {draft.digest.hexdigest()}, not {described.sha256}."
        )


def _continue(request: Request, draft: Draft) -> Flow[httpx.TransportError | None]:
    """Fetch what is missing. Return what broke the connection off, or None at the end."""
    headers = {**request.headers, **draft.range, "Accept-Encoding": "identity"}
    try:
        response = yield from ask(replace(request, headers=headers, stream=True))
    except ApiError as error:
        if error.status != UNSATISFIABLE:
            raise
        return None  # everything has arrived, and the digest tells whether it is right
    if response.status_code != PARTIAL:
        yield from blocking(draft.restart)
    draft.etag = response.headers.get("etag")
    broken = None
    while broken is None and (block := (yield from _piece(response))):
        broken = block.broken
        yield from blocking(partial(draft.append, block.content))
    return broken


@dataclass(frozen=True)
class Piece:
    """Bytes that have arrived, and what broke the connection off after them."""

    content: bytes
    broken: httpx.TransportError | None = None

    def __bool__(self) -> bool:
        return bool(self.content or self.broken)


def _piece(response: httpx.Response) -> Flow[Piece]:
    """Return the next bytes: many at a time, as each write may need a thread, and none is lost in a break."""
    content = bytearray()
    try:
        while len(content) < PIECE and (block := (yield from read(response))):
            content += block
    except httpx.TransportError as error:
        return Piece(bytes(content), error)
    return Piece(bytes(content))
