"""Assets: uploaded whole or in pieces, listed, downloaded and deleted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scenemill.calls.reading import body, identity, nothing, one, pages, parsed
from scenemill.core import bodies, downloads, requests, sources, uploads
from scenemill.core.steps import Request, ask, blocking
from scenemill.types.assets import Asset, Upload

if TYPE_CHECKING:
    import httpx

    from scenemill.calls.reading import Reference
    from scenemill.core.sources import Source, Uploadable
    from scenemill.core.steps import Flow, Items

ASSETS = "/v1/assets"
LARGE = 8 << 20  # bytes from which on a file goes in pieces
MEDIA_TYPE = "application/octet-stream"  # the server goes by the bytes


def upload(source: Uploadable) -> Flow[Asset]:
    """Upload a file (a path, an open file, bytes, or a stream), in constant memory, and return its asset.

    A file of 8 MB or more goes in pieces: after a broken connection, and in another run of the program, it goes on where
    it broke off. The SHA-256 of what was stored is checked.
    """
    opened = yield from blocking(lambda: sources.opened(source))
    if isinstance(opened, sources.Stream):
        answer = yield from uploads.upload_stream(opened)
    elif opened.size < LARGE:
        answer = yield from _whole(opened)
    else:
        answer = yield from uploads.upload(opened)
    return parsed(Asset, body(answer))


def listed(*, limit: int | None = None) -> Items[Asset]:
    """Give the assets of the account, newest first."""
    yield from pages(Asset, ASSETS, limit)


def get(asset: Reference) -> Flow[Asset]:
    """Return what is known of an asset."""
    return (yield from one(Asset, requests.get(_path(asset))))


def download(asset: Reference, target: str | Path) -> Flow[Path]:
    """Write an asset's bytes to `target`, which appears when they are whole, and return the path."""
    known = asset if isinstance(asset, Asset) else (yield from get(asset))
    return (yield from downloads.to_file(requests.get(_path(known) + "/content"), known, Path(target)))


def delete(asset: Reference) -> Flow[None]:
    """Delete an asset. One that an unfinished task uses is a 409."""
    yield from nothing(requests.delete(_path(asset)))


def begin_upload(
    length: int | None, *, metadata: str | None = None, idempotency_key: str | None = None
) -> Flow[Upload]:
    """Begin a resumable upload of `length` bytes, or of a length that the last piece will tell. `upload` does all of it."""
    return (yield from one(Upload, uploads.creation(length=length, key=idempotency_key, metadata=metadata)))


def upload_offset(upload: Reference) -> Flow[int]:
    """Return how many bytes of an upload are stored: where the next piece begins."""
    answer = yield from ask(uploads.state(_upload_path(upload)))
    return int(answer.headers["Upload-Offset"])


def append(upload: Reference, offset: int, content: bytes, *, length: int | None = None) -> Flow[str | None]:
    """Append bytes to an upload. Return the id of the asset that it became, if these were the last ones.

    `length` tells the whole upload's length where its beginning did not.
    """
    more = {} if length is None else {"Upload-Length": str(length)}
    request = uploads.appending(_upload_path(upload), offset, bodies.Bytes(content), len(content), more)
    answer = yield from ask(request)
    return uploads.location(answer).rpartition("/")[2] if "Location" in answer.headers else None


def end_upload(upload: Reference) -> Flow[None]:
    """Give an upload up and delete what is stored of it."""
    yield from nothing(Request(method="DELETE", path=_upload_path(upload), headers=uploads.TUS))


def _whole(source: Source) -> Flow[httpx.Response]:
    headers = {
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(source.size),
        **requests.idempotency(None),
    }
    content = bodies.Blocks(lambda: source.blocks(0, source.size))
    return (yield from ask(Request(method="POST", path=ASSETS, headers=headers, body=content)))


def _path(asset: Reference) -> str:
    return requests.path("/v1/assets/{}", identity(asset))


def _upload_path(upload: Reference) -> str:
    return requests.path("/v1/uploads/{}", identity(upload))
