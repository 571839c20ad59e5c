"""Imports files from outside into an account's assets, and attaches them to the job that needs them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from shared.db import transaction
from shared.lifecycle import assets
from shared.media.probing import Media, probe
from shared.models import Asset, JobAsset
from shared.settings import settings
from shared.storage.factory import storage
from tasks.providers import guarded_http

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterator

    from sqlalchemy.orm import Session

    from shared.models import Job

ASSET_PREFIX = "asset:"


@dataclass(frozen=True, slots=True)
class ImportedAsset:
    """An asset of the account that is attached to the job."""

    asset_id: uuid.UUID
    storage_key: str
    media: Media

    @property
    def src(self) -> str:
        """The asset's reference in a script."""
        return f"{ASSET_PREFIX}{self.asset_id}"


def import_url(
    job: Job, url: str, *, max_bytes: int, stop: Callable[[], bool], name: str | None = None
) -> ImportedAsset:
    """Import the file of a URL; raise AssetUnreadable or UnsupportedMedia (for good) or Unavailable (for now)."""
    config = settings()

    def write(file: IO[bytes]) -> None:
        guarded_http.fetch(
            url,
            file,
            guarded_http.DownloadLimits(bytes=max_bytes),
            allow_private=config.allow_private_addresses,
            ca_file=config.ca_file,
            stop=stop,
        )

    return _import(job, write, name or url)


def import_bytes(job: Job, content: bytes, name: str) -> ImportedAsset:
    """Import a file's content."""
    return _import(job, lambda file: file.write(content), name)


def reuse_asset(job: Job, asset_id: uuid.UUID) -> ImportedAsset | None:
    """Attach an asset that was imported before; None where it has been deleted."""
    with transaction() as session:
        asset = session.scalar(
            select(Asset)
            .where(Asset.account_id == job.account_id, Asset.id == asset_id)
            .with_for_update(read=True, key_share=True)
        )
        if asset is None or not storage().find_existing([asset.storage_key]):
            return None
        _attach_to_job(session, job, asset.id)
        return ImportedAsset(asset.id, asset.storage_key, Media.from_json(asset.facts))


def _import(job: Job, write: Callable[[IO[bytes]], object], name: str) -> ImportedAsset:
    with _new_file(job) as (key, retained_keys):
        with storage().create(key) as file:
            write(file)
        media = probe(storage().locate(key))
        with transaction() as session:
            asset = assets.create(session, job.account_id, media, key, name[:200])
            _attach_to_job(session, job, asset.id)
        retained_keys.append(asset.storage_key)
        return ImportedAsset(asset.id, asset.storage_key, media)


@contextmanager
def _new_file(job: Job) -> Iterator[tuple[str, list[str]]]:
    """Yield a new storage key; its file is deleted unless the block adds the key to the list."""
    key, retained_keys = assets.new_key(job.account_id), list[str]()
    try:
        yield key, retained_keys
    finally:
        if key not in retained_keys:
            storage().delete(key)


def _attach_to_job(session: Session, job: Job, asset_id: uuid.UUID) -> None:
    row = {"account_id": job.account_id, "job_id": job.id, "asset_id": asset_id}
    session.execute(insert(JobAsset).values(row).on_conflict_do_nothing())
