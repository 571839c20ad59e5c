"""The rules of assets: content is stored once per account, and never deleted while an unfinished job needs it.

Functions take a session and never commit. A file is written before the row that names it, and deleted after it.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from sqlalchemy import delete as delete_rows
from sqlalchemy import func, select

from shared.advisory_locks import lock_until_commit
from shared.lifecycle.listing import is_asset_in_use
from shared.models import Asset

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from shared.media.probing import Media


def new_key(account_id: uuid.UUID) -> str:
    """Return a new, unused storage key."""
    return f"assets/{account_id}/{uuid.uuid4().hex}"


def create(session: Session, account_id: uuid.UUID, media: Media, key: str, name: str | None) -> Asset:
    """Insert an asset for an uploaded file. Where the account has the same bytes already, the row names that file."""
    duplicate = session.scalar(
        select(Asset)
        .where(Asset.account_id == account_id, Asset.sha256 == media.sha256)
        .limit(1)
        # Locked, or the row that names this file could be deleted, and the file with it, before ours is inserted.
        .with_for_update(read=True, key_share=True)
    )
    asset = Asset(
        id=uuid.uuid4(),
        account_id=account_id,
        storage_key=duplicate.storage_key if duplicate else key,
        sha256=media.sha256,
        bytes=media.bytes,
        media_type=media.media_type,
        facts=media.to_json(),
        name=name,
    )
    session.add(asset)
    session.flush()
    session.refresh(asset)
    return asset


def delete(session: Session, account_id: uuid.UUID, asset_id: uuid.UUID) -> list[str] | None:
    """Delete an asset and return the storage keys that no row names any more; None while an unfinished job uses it."""
    asset = session.scalar(
        select(Asset).where(Asset.account_id == account_id, Asset.id == asset_id).with_for_update()
    )
    if asset is None:
        return []
    # After the lock: a job that names the asset locks it too, and is either seen here or refused.
    if is_asset_in_use(session, asset_id):
        return None
    # Two requests may delete the last two assets of one file: the second must see what the first deleted.
    lock_until_commit(session, asset.storage_key)
    session.execute(delete_rows(Asset).where(Asset.id == asset_id))
    sharing = select(func.count()).where(
        Asset.account_id == account_id, Asset.sha256 == asset.sha256, Asset.storage_key == asset.storage_key
    )
    return [] if session.scalar(sharing) else [asset.storage_key]
