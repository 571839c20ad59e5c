"""Views of assets and uploads: dictionaries built from rows, which the response schemas write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.models import Asset, Upload


def asset_view(row: Asset) -> dict[str, Any]:
    """Return the view of an asset with its probed properties."""
    facts = {
        name: row.facts.get(name) for name in ("kind", "width", "height", "duration", "fps", "has_audio")
    }
    path = f"/v1/assets/{row.id}"
    return {
        "asset_id": row.id,
        "media_type": row.media_type,
        "bytes": row.bytes,
        "sha256": row.sha256,
        "created_at": row.created_at,
        "links": {"self": path, "content": f"{path}/content"},
        **facts,
    }


def upload_view(row: Upload) -> dict[str, Any]:
    """Return the view of an upload."""
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
