"""`/v1/uploads`: files in pieces by tus 1.0.0 (https://tus.io), which go on after whatever broke them off.

A finished upload is an asset, and says where: in `Location` of the answer to its last piece, and of every one after it.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flask import Flask, Response, request
from werkzeug.exceptions import UnsupportedMediaType
from werkzeug.http import http_date

from api import audit
from api.assets import tus_append, tus_headers, views
from api.http import idempotency
from api.http.caller import account_id
from api.http.idempotency import ReplayedResponse, StoredResponse
from api.http.request_context import config
from api.openapi.resource import Reply, Resource
from api.schemas.responses import UploadSchema
from api.server import offload
from shared.db import transaction
from shared.errors import BadRequest
from shared.lifecycle import uploads
from shared.lifecycle.uploads import UploadState
from shared.storage import unfinished_uploads

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from shared.models import Upload

blueprint = Resource("uploads", "Large files in pieces, by tus 1.0.0: what broke off goes on.")
CLEAR_SECONDS = 600
BODY = {
    "content": {
        tus_headers.CONTENT_TYPE: {"schema": {"type": "string", "contentMediaType": tus_headers.CONTENT_TYPE}}
    }
}


def _header(name: str, about: str, *, needed: bool = False, kind: str = "string") -> dict[str, Any]:
    schema = {"type": kind}
    return {"in": "header", "name": name, "required": needed, "schema": schema, "description": about}


VERSION = _header("Tus-Resumable", f"`{tus_headers.VERSION}`.", needed=True)
OFFSET = _header("Upload-Offset", "Where the piece begins: the upload's end.", needed=True, kind="integer")
CHECKSUM = _header(
    "Upload-Checksum",
    f"The body's hash: one of {', '.join(tus_headers.ALGORITHMS)}, a space, and the value in Base64.",
)
LENGTH = _header("Upload-Length", "How many bytes it will have.", kind="integer")
DEFER_LENGTH = _header("Upload-Defer-Length", "`1`: its length will be told later.")
METADATA = _header(
    "Upload-Metadata", "Pairs with commas: a key, a space, a value in Base64. `filename` is shown."
)


def register(app: Flask) -> None:
    """Let the application's answers on these paths speak tus, and its requests come under another method."""
    app.wsgi_app = tus_headers.MethodOverride(app.wsgi_app)  # type: ignore[method-assign]  # Flask's own way to wrap it
    app.after_request(_add_version_header)
    for rule in ("/v1/uploads", "/v1/uploads/<uuid:upload_id>"):
        app.add_url_rule(rule, "uploads_options", _options, methods=["OPTIONS"])


@blueprint.before_request  # type: ignore[untyped-decorator]  # flask-smorest has no types
def _check_version() -> None:
    tus_headers.check_version(request.headers)


@blueprint.post("/uploads")
@blueprint.documented(
    scope="assets:write",
    body=BODY,
    request_headers=(
        VERSION,
        LENGTH,
        DEFER_LENGTH,
        METADATA,
        CHECKSUM,
    ),
    replies={
        201: Reply(
            UploadSchema, headers=("Location", "Upload-Offset", "Upload-Expires", "Idempotent-Replayed")
        )
    },
    response_headers=("Tus-Resumable",),
    errors=(400, 412, 413, 415, 422, 460),
    idempotent=True,
)
def create_upload() -> Response:
    """Begin an upload; its first bytes may come along.

    Its length is told by `Upload-Length`, or later where `Upload-Defer-Length` is 1. Then the pieces follow by PATCH.
    """
    asked = tus_headers.parse_creation(request.headers, config().max_asset_bytes)
    with_body = _has_body() or asked.length == 0
    with transaction() as session:
        answer = idempotency.run_once(session, _fingerprint(asked), lambda: _create(session, asked))
    upload_id = UUID(answer.body["upload_id"])
    if with_body and not isinstance(answer, ReplayedResponse):
        upload = _append_first_chunk(upload_id, asked.checksum)
    else:
        upload = tus_append.finish_upload(tus_append.find_upload(upload_id))
    _clear_orphans(int(time.monotonic() / CLEAR_SECONDS))
    now = replace(answer, body=UploadSchema().dump(views.upload_view(upload)), text=None)
    return _add_upload_headers(idempotency.to_response(now), upload)


@blueprint.head("/uploads/<uuid:upload_id>")
@blueprint.documented(
    scope="assets:write",
    request_headers=(VERSION,),
    replies={
        200: Reply(
            headers=(
                "Upload-Offset",
                "Upload-Length",
                "Upload-Defer-Length",
                "Upload-Metadata",
                "Upload-Expires",
                "Location",
            )
        )
    },
    response_headers=("Tus-Resumable",),
    errors=(404, 410, 412, 415),
)
def get_upload(upload_id: UUID) -> Response:
    """Tell how far an upload is, and which asset it has become.

    One that is whole and no asset yet, since the API died at that moment, becomes it now.
    """
    upload = tus_append.finish_upload(tus_append.find_upload(upload_id))
    response = _without_content_type(Response(), upload)
    if upload.length is None:
        response.headers["Upload-Defer-Length"] = "1"
    else:
        response.headers["Upload-Length"] = str(upload.length)
    if upload.meta:
        response.headers["Upload-Metadata"] = upload.meta
    if upload.received == upload.length and upload.asset_id is None:
        response.headers["Retry-After"] = "1"  # another request is making an asset of it
    return response


@blueprint.patch("/uploads/<uuid:upload_id>")
@blueprint.documented(
    scope="assets:write",
    body={"required": True, **BODY},
    request_headers=(
        VERSION,
        OFFSET,
        LENGTH,
        CHECKSUM,
    ),
    replies={204: Reply(headers=("Upload-Offset", "Upload-Expires", "Location"))},
    response_headers=("Tus-Resumable",),
    errors=(400, 404, 409, 410, 412, 413, 415, 422, 423, 460),
)
def append_to_upload(upload_id: UUID) -> Response:
    """Add a piece at an upload's end. The answer to the last one tells the asset's `Location`."""
    _check_type()
    offset = tus_headers.parse_number(request.headers, "Upload-Offset")
    if offset is None:
        raise BadRequest("Upload-Offset is needed.")
    length = tus_headers.check_length(
        tus_headers.parse_number(request.headers, "Upload-Length"), config().max_asset_bytes
    )
    checksum = tus_headers.parse_checksum(request.headers.get("Upload-Checksum"))
    return _without_content_type(
        Response(status=HTTPStatus.NO_CONTENT), tus_append.append_body(upload_id, offset, length, checksum)
    )


@blueprint.delete("/uploads/<uuid:upload_id>")
@blueprint.documented(
    scope="assets:write",
    request_headers=(VERSION,),
    replies={204: Reply()},
    response_headers=("Tus-Resumable",),
    errors=(404, 410, 412),
)
def delete_upload(upload_id: UUID) -> Response:
    """Terminate an upload: what came of it is thrown away. An asset that it has become stays."""
    tus_append.find_upload(upload_id)
    with transaction() as session:
        uploads.terminate(session, upload_id)
        audit.record(session, "uploads.terminated", str(upload_id))
    offload.run(unfinished_uploads.remove_upload, config(), upload_id)
    return _drop_content_type(Response(status=HTTPStatus.NO_CONTENT))


def _fingerprint(asked: tus_headers.Creation) -> bytes:
    """Return what two requests for the same upload share; the bytes that come along are not read to tell them apart."""
    return json.dumps([asked.length, asked.meta, request.content_length or 0]).encode()


def _create(session: Session, asked: tus_headers.Creation) -> StoredResponse:
    limits = config()
    upload = uploads.create(
        session,
        account_id(),
        length=asked.length,
        meta=asked.meta,
        expiry=limits.upload_expiry,
        most=limits.max_uploads,
    )
    audit.record(session, "uploads.created", str(upload.id))
    return StoredResponse(201, {"upload_id": str(upload.id)}, {"Location": f"/v1/uploads/{upload.id}"})


@lru_cache(maxsize=1)
def _clear_orphans(_: int) -> None:
    """Remove what belongs to no upload any more, once in each such time: no worker may see the folder."""
    offload.run(unfinished_uploads.remove_orphans, config())


def _append_first_chunk(upload_id: UUID, checksum: tus_headers.Checksum | None) -> Upload:
    try:
        return tus_append.append_body(upload_id, 0, None, checksum)
    except BaseException:
        if idempotency.request_key() is None:  # nobody could find it again
            tus_append.end_upload(upload_id, UploadState.TERMINATED)
        raise


def _has_body() -> bool:
    if not request.content_length and "chunked" not in request.headers.get("Transfer-Encoding", "").lower():
        return False
    _check_type()
    return True


def _check_type() -> None:
    if request.mimetype != tus_headers.CONTENT_TYPE:
        raise UnsupportedMediaType(f"A piece needs Content-Type: {tus_headers.CONTENT_TYPE}.")


def _without_content_type(response: Response, upload: Upload) -> Response:
    if upload.asset_id:
        response.headers["Location"] = f"/v1/assets/{upload.asset_id}"
    return _add_upload_headers(_drop_content_type(response), upload)


def _drop_content_type(response: Response) -> Response:
    response.headers.pop("Content-Type", None)
    return response


def _add_upload_headers(response: Response, upload: Upload) -> Response:
    response.headers["Upload-Offset"] = str(upload.received)
    if not upload.asset_id:
        response.headers["Upload-Expires"] = http_date(upload.expires_at)
    return response


def _options(**_: Any) -> Response:
    response = Response(status=HTTPStatus.NO_CONTENT)
    response.headers["Tus-Version"] = tus_headers.VERSION
    response.headers["Tus-Max-Size"] = str(config().max_asset_bytes)
    response.headers["Tus-Extension"] = ",".join(tus_headers.EXTENSIONS)
    response.headers["Tus-Checksum-Algorithm"] = ",".join(tus_headers.ALGORITHMS)
    return _drop_content_type(response)


def _add_version_header(response: Response) -> Response:
    if tus_headers.PATHS.fullmatch(request.path):
        response.headers["Tus-Resumable"] = tus_headers.VERSION
    return response
