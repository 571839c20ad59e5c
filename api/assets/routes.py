"""Routes of /v1/assets: upload, list, show, download and delete the files that scripts name."""

from __future__ import annotations

import mimetypes
from typing import TYPE_CHECKING, Any

from api import audit
from api.assets import receiving, views
from api.http import file_responses, idempotency
from api.http.caller import account_id
from api.http.idempotency import StoredResponse
from api.http.query_params import DownloadQuery, PageQuery
from api.openapi.resource import Reply, Resource
from api.schemas.responses import AssetPageSchema, AssetSchema
from shared.db import transaction
from shared.errors import Conflict, NotFound
from shared.lifecycle import assets, listing

if TYPE_CHECKING:
    from uuid import UUID

    from flask import Response
    from sqlalchemy.orm import Session

    from api.assets.receiving import StoredFile
    from shared.models import Asset

blueprint = Resource("assets", "Images, videos and sounds for use in scripts.")

BODY = {
    "required": True,
    "content": {
        "application/octet-stream": {
            "schema": {"type": "string", "contentMediaType": "application/octet-stream"}
        },
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {"file": {"type": "string", "contentMediaType": "application/octet-stream"}},
            }
        },
    },
}


@blueprint.post("/assets")
@blueprint.documented(
    scope="assets:write",
    body=BODY,
    replies={201: Reply(AssetSchema, headers=("Location", "Idempotent-Replayed"))},
    errors=(400, 413, 415, 422),
    idempotent=True,
)
def create_asset() -> Response:
    """Upload a file, as the raw body or as the part `file` of a form.

    Its media type is detected from its bytes; the file name and Content-Type are ignored.
    """
    key = assets.new_key(account_id())
    with receiving.receive_file(key) as file, transaction() as session:
        answer = idempotency.run_once(session, file.media.sha256.encode(), lambda: _create(session, file))
    return idempotency.to_response(answer)


@blueprint.get("/assets")
@blueprint.documented(scope="assets:read", query=PageQuery, replies={200: AssetPageSchema})
def list_assets(query: dict[str, Any]) -> dict[str, Any]:
    """List assets, newest first."""
    with transaction() as session:
        found, next_cursor = listing.list_assets(
            session, account_id(), limit=query["limit"], after=query.get("cursor")
        )
    return {
        "data": [views.asset_view(asset) for asset in found],
        "next_cursor": next_cursor and str(next_cursor),
    }


@blueprint.get("/assets/<uuid:asset_id>")
@blueprint.documented(scope="assets:read", replies={200: AssetSchema}, errors=(404,))
def get_asset(asset_id: UUID) -> dict[str, Any]:
    """Show an asset's properties."""
    return views.asset_view(_find(asset_id))


@blueprint.get("/assets/<uuid:asset_id>/content")
@blueprint.documented(scope="assets:read", query=DownloadQuery, file=True, errors=(404,))
def get_content(query: dict[str, Any], asset_id: UUID) -> Response:
    """Download an asset, or a range of it."""
    asset = _find(asset_id)
    name = f"{asset_id}{mimetypes.guess_extension(asset.media_type) or ''}"
    return file_responses.send_stored_file(
        asset.storage_key,
        media_type=asset.media_type,
        sha256=asset.sha256,
        name=name,
        download=query["download"],
    )


@blueprint.delete("/assets/<uuid:asset_id>")
@blueprint.documented(scope="assets:write", replies={204: Reply(about="Done.")}, errors=(404, 409))
def delete_asset(asset_id: UUID) -> None:
    """Delete an asset that no unfinished task uses."""
    _find(asset_id)
    with transaction() as session:
        unused_keys = assets.delete(session, account_id(), asset_id)
        if unused_keys is None:
            raise Conflict("An unfinished task uses this asset. Cancel the task or wait for its end.")
        audit.record(session, "assets.deleted", str(asset_id))
    # After the commit: a file deleted before a rollback could not be restored.
    for key in unused_keys:
        file_responses.delete_stored_file(key)


def _find(asset_id: UUID) -> Asset:
    with transaction() as session:
        found = listing.find_asset(session, account_id(), asset_id)
    if found is None:
        raise NotFound("There is no such asset.")
    return found


def _create(session: Session, file: StoredFile) -> StoredResponse:
    asset = receiving.create_asset(session, file)
    return StoredResponse(
        201, AssetSchema().dump(views.asset_view(asset)), {"Location": f"/v1/assets/{asset.id}"}
    )
