"""Assets and uploads as a client reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.models import Asset, Upload


def asset_view(row: Asset) -> dict[str, Any]:
    """Return a file that a client gave us, with what was found in it."""
    facts = {
        name: row.facts.get(name) for name in ("kind", "width", "height", "duration", "fps", "has_audio")
    }
    here = f"/v1/assets/{row.id}"
    return {
        "asset_id": row.id,
        "media_type": row.media_type,
        "bytes": row.bytes,
        "sha256": row.sha256,
        "created_at": row.created_at,
        "links": {"self": here, "content": f"{here}/content"},
        **facts,
    }


def upload_view(row: Upload) -> dict[str, Any]:
    """Return a file that comes in pieces, as far as it has come."""
    links = {"self": f"/v1/uploads/{row.id}"}
    if row.asset_id:
        links["asset"] = f"/v1/assets/{row.asset_id}"
    return {
        "upload_id": row.id,
        "offset": row.received,
        "length": row.length,
        "asset_id": row.asset_id,
        "created_at": row.created_at,
        "expires_at": None if row.asset_id else row.expires_at,
        "links": links,
    }
