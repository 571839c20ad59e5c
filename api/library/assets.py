"""The files that clients give us, to be named in scripts."""

from __future__ import annotations

import mimetypes
from typing import TYPE_CHECKING, Any

from api.auth import account_id, requires
from api.http import replay
from api.http.describing import headers
from api.http.queries import DownloadQuery, PageQuery
from api.library import uploads
from api.openapi import Resource, creates, empty, fails, file_response, takes
from api.progress import files, views
from api.submission import accept
from shared.db import transaction
from shared.errors import Conflict, NotFound
from shared.files import assets
from shared.idempotency import Answer
from shared.reports import listing
from shared.schemas.answers import AssetPageSchema, AssetSchema

if TYPE_CHECKING:
    from uuid import UUID

    from flask import Response
    from sqlalchemy.orm import Session

    from api.library.uploads import Received
    from shared.models import Asset

blueprint = Resource("assets", "Pictures, clips and sounds to make videos of.")

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
@requires("assets:write")
@creates
@takes(BODY)
@fails(400, 413, 415, 422)
@blueprint.response(201, AssetSchema, headers=headers("Location", "Idempotent-Replayed"))
def create_asset() -> Response:
    """Upload a file, as the raw body or as the part `file` of a form.

    What it is shows in its bytes alone: names and types that come with it are not believed.
    """
    key = assets.new_key(account_id())
    with uploads.received(key) as file, transaction() as session:
        answer = replay.once(session, file.media.sha256.encode(), lambda: _keep(session, file))
    return replay.respond(answer)


@blueprint.get("/assets")
@requires("assets:read")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, AssetPageSchema)
def list_assets(query: dict[str, Any]) -> dict[str, Any]:
    """List assets, newest first."""
    with transaction() as session:
        found, following = listing.assets(
            session, account_id(), limit=query["limit"], after=query.get("cursor")
        )
    return {"data": [views.asset(each) for each in found], "next_cursor": following and str(following)}


@blueprint.get("/assets/<uuid:asset_id>")
@requires("assets:read")
@fails(404)
@blueprint.response(200, AssetSchema)
def get_asset(asset_id: UUID) -> dict[str, Any]:
    """Show what is known of an asset."""
    return views.asset(_find(asset_id))


@blueprint.get("/assets/<uuid:asset_id>/content")
@requires("assets:read")
@fails(404)
@file_response
@blueprint.arguments(DownloadQuery, location="query")
def get_content(query: dict[str, Any], asset_id: UUID) -> Response:
    """Download an asset, or a range of it."""
    found = _find(asset_id)
    name = f"{asset_id}{mimetypes.guess_extension(found.media_type) or ''}"
    return files.send(
        found.storage_key,
        media_type=found.media_type,
        sha256=found.sha256,
        name=name,
        download=query["download"],
    )


@blueprint.delete("/assets/<uuid:asset_id>")
@requires("assets:write")
@fails(404, 409)
@empty
def delete_asset(asset_id: UUID) -> None:
    """Delete an asset that no unfinished task uses."""
    _find(asset_id)
    with transaction() as session:
        unneeded = assets.remove(session, account_id(), asset_id)
        if unneeded is None:
            raise Conflict("An unfinished task uses this asset.")
        accept.note(session, "assets.deleted", str(asset_id))
    for key in unneeded:
        files.drop(key)


def _find(asset_id: UUID) -> Asset:
    with transaction() as session:
        found = listing.asset(session, account_id(), asset_id)
    if found is None:
        raise NotFound("There is no such asset.")
    return found


def _keep(session: Session, file: Received) -> Answer:
    asset = uploads.keep(session, file)
    return Answer(201, AssetSchema().dump(views.asset(asset)), {"Location": f"/v1/assets/{asset.id}"})
