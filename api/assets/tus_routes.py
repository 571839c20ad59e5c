"""Routes of /v1/uploads: resumable uploads by tus 1.0.0 (https://tus.io).

A finished upload becomes an asset, whose path is in `Location` of the last response and of all later ones.
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

blueprint = Resource("uploads", "Resumable uploads of large files, by tus 1.0.0.")
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
OFFSET = _header(
    "Upload-Offset", "The offset of the body: the upload's current end.", needed=True, kind="integer"
)
CHECKSUM = _header(
    "Upload-Checksum",
    f"The body's hash: {', '.join(tus_headers.ALGORITHMS)}, a space, and the hash in Base64.",
)
LENGTH = _header("Upload-Length", "The file's length in bytes.", kind="integer")
DEFER_LENGTH = _header("Upload-Defer-Length", "`1` where the length is not known yet.")
METADATA = _header(
    "Upload-Metadata", "Comma-separated pairs: a key, a space, a value in Base64. `filename` names the asset."
)


def register(app: Flask) -> None:
    """Add the tus headers, OPTIONS and the method override to the application's upload paths."""
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
    """Create an upload, optionally with its first bytes.

    `Upload-Length` states its length, or a later PATCH does where `Upload-Defer-Length` is 1. The bytes follow by PATCH.
    """
    creation = tus_headers.parse_creation(request.headers, config().max_asset_bytes)
    with_body = _has_body() or creation.length == 0
    with transaction() as session:
        answer = idempotency.run_once(session, _fingerprint(creation), lambda: _create(session, creation))
    upload_id = UUID(answer.body["upload_id"])
    if with_body and not isinstance(answer, ReplayedResponse):
        upload = _append_first_chunk(upload_id, creation.checksum)
    else:
        upload = tus_append.finish_upload(tus_append.find_upload(upload_id))
    _clear_orphans(int(time.monotonic() / CLEAR_SECONDS))
    current = replace(answer, body=UploadSchema().dump(views.upload_view(upload)), text=None)
    return _add_upload_headers(idempotency.to_response(current), upload)


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
    """Show an upload's offset, and the asset that it has become.

    A complete upload without an asset, left by a killed process, becomes one now.
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
        response.headers["Retry-After"] = "1"  # another request is creating its asset
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
    """Append bytes at an upload's end. The response to the last ones has the asset's path in `Location`."""
    _check_type()
    offset = tus_headers.parse_number(request.headers, "Upload-Offset")
    if offset is None:
        raise BadRequest("The header Upload-Offset is required.")
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
    """Terminate an upload and delete its bytes. The asset of a finished upload stays."""
    tus_append.find_upload(upload_id)
    with transaction() as session:
        uploads.terminate(session, upload_id)
        audit.record(session, "uploads.terminated", str(upload_id))
    offload.run(unfinished_uploads.remove_upload, config(), upload_id)
    return _drop_content_type(Response(status=HTTPStatus.NO_CONTENT))


def _fingerprint(creation: tus_headers.Creation) -> bytes:
    """Return what identifies the request for its Idempotency-Key: its headers and length, since the body is not read yet."""
    return json.dumps([creation.length, creation.meta, request.content_length or 0]).encode()


def _create(session: Session, creation: tus_headers.Creation) -> StoredResponse:
    limits = config()
    upload = uploads.create(
        session,
        account_id(),
        length=creation.length,
        meta=creation.meta,
        expiry=limits.upload_expiry,
        max_open=limits.max_uploads,
    )
    audit.record(session, "uploads.created", str(upload.id))
    return StoredResponse(201, {"upload_id": str(upload.id)}, {"Location": f"/v1/uploads/{upload.id}"})


@lru_cache(maxsize=1)
def _clear_orphans(_: int) -> None:
    """Delete the files of ended uploads, at most once per interval. The API does it, since workers may not share this folder."""
    offload.run(unfinished_uploads.remove_orphans, config())


def _append_first_chunk(upload_id: UUID, checksum: tus_headers.Checksum | None) -> Upload:
    try:
        return tus_append.append_body(upload_id, 0, None, checksum)
    except BaseException:
        if idempotency.request_key() is None:  # without a key the client cannot find the upload again
            tus_append.end_upload(upload_id, UploadState.TERMINATED)
        raise


def _has_body() -> bool:
    if not request.content_length and "chunked" not in request.headers.get("Transfer-Encoding", "").lower():
        return False
    _check_type()
    return True


def _check_type() -> None:
    if request.mimetype != tus_headers.CONTENT_TYPE:
        raise UnsupportedMediaType(f"The body must have Content-Type: {tus_headers.CONTENT_TYPE}.")


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
