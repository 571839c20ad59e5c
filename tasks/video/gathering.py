"""Finds every file that a script names, as facts and a place in storage. It decides nothing about how it is shown."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING

from sqlalchemy import select

from shared import assets, outside
from shared.db import transaction
from shared.errors import AssetUnreadable, UnsupportedMedia
from shared.media import Media, probe
from shared.models import Asset, JobAsset
from shared.schemas.canonical import sources
from shared.settings import settings
from shared.storage import storage
from tasks.video.segments import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.models import Job
    from shared.script import Scene, Script, Visual

log = logging.getLogger(__name__)

ASSET = "asset:"


def gather(job: Job, script: Script, *, stop: Callable[[], bool]) -> dict[str, Source]:
    """Return each `src` of the script that is to be had: the account's assets by one query, then what URLs answer.

    What cannot be had for good is left out, so that a fallback may take its place; raise Unavailable for what may be
    had later.
    """
    named = list(dict.fromkeys(src for _, src in sources(script)))
    ids = {uuid.UUID(src.removeprefix(ASSET)): src for src in named if src.startswith(ASSET)}
    with transaction() as session:
        rows = session.scalars(select(Asset).where(Asset.account_id == job.account_id, Asset.id.in_(ids)))
        found = {ids[row.id]: _source(ids[row.id], row) for row in rows}
    for url in named:
        if not url.startswith(ASSET) and (fetched := _fetch(job, url, stop)):
            found[url] = fetched
    return found


def _source(src: str, asset: Asset) -> Source:
    return Source(src=src, storage_key=asset.storage_key, media=Media.from_json(asset.facts))


def _fetch(job: Job, url: str, stop: Callable[[], bool]) -> Source | None:
    """Fetch what a URL answers into the account's assets, or return None when it cannot be had or is no medium."""
    config = settings()
    key = assets.new_key(job.account_id)
    kept = False
    try:
        with storage().create(key) as file:
            outside.fetch(
                url,
                file,
                outside.Bounds(bytes=config.max_asset),
                allow_private=config.allow_private_addresses,
                ca_file=config.ca_file,
                stop=stop,
            )
        media = probe(storage().path(key))
        with transaction() as session:
            asset = assets.keep(session, job.account_id, media, key, url[:200])
            session.add(JobAsset(account_id=job.account_id, job_id=job.id, asset_id=asset.id))
            kept = asset.storage_key == key
        return _source(url, asset)
    except (AssetUnreadable, UnsupportedMedia) as error:
        log.warning("url_not_had", extra={"reason": error.detail})
        return None
    finally:
        if not kept:
            storage().delete(key)


def settle_visual(scene: Scene, found: Mapping[str, Source]) -> Visual | None:
    """Return the first of the scene's visuals, along its fallbacks, that can be shown, or raise AssetUnreadable."""
    visual = scene.visual
    while visual is not None:
        if _shown(visual, found):
            return visual
        if visual.fallback is None:
            raise AssetUnreadable(f"The visual of scene {scene.id!r} cannot be had.")
        visual = visual.fallback
    return None


def _shown(visual: Visual, found: Mapping[str, Source]) -> bool:
    if visual.type in ("color", "gradient", "chart"):
        return True
    source = found.get(visual.src or "")
    return source is not None and source.media.kind == visual.type
