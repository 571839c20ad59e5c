"""Finds every file that a script names or describes, as facts and a place in storage. How it is shown is not its matter."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING

from sqlalchemy import select

from shared.db import transaction
from shared.errors import AssetUnavailable, AssetUnreadable, UnsupportedMedia
from shared.media.probing import Media
from shared.models import Asset
from shared.script.schema.canonical import list_sources
from shared.settings import settings
from tasks.pictures import asset_import
from tasks.pictures.asset_import import ASSET_PREFIX
from tasks.pictures.generation import ImageGenerator, image_servers
from tasks.pictures.stock_search import StockSearch, parse_stock_kinds, stock_providers
from tasks.video.plan.values import Source
from tasks.video.plan.visuals import ResolvedVisuals, VisualResolver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.models import Job
    from shared.script.values import Output, Script
    from tasks.cost_tracker import CostTracker

log = logging.getLogger(__name__)


def gather_sources(job: Job, script: Script, *, stop: Callable[[], bool]) -> dict[str, Source]:
    """Return each `src` of the script that is to be had: the account's assets by one query, then what URLs answer.

    What cannot be had for good is left out, so that a fallback may take its place; raise AssetUnavailable for what may
    be had later, as long as there is another attempt.
    """
    named = list(dict.fromkeys(src for _, src in list_sources(script)))
    ids = {uuid.UUID(src.removeprefix(ASSET_PREFIX)): src for src in named if src.startswith(ASSET_PREFIX)}
    found = _find_assets(job, ids) if ids else {}
    for url in named:
        if not url.startswith(ASSET_PREFIX) and (fetched := _fetch_url(job, url, stop)):
            found[url] = fetched
    return found


def _find_assets(job: Job, ids: Mapping[uuid.UUID, str]) -> dict[str, Source]:
    with transaction() as session:
        rows = session.scalars(select(Asset).where(Asset.account_id == job.account_id, Asset.id.in_(ids)))
        return {ids[row.id]: _asset_source(ids[row.id], row) for row in rows}


def resolve_visuals(
    job: Job,
    script: Script,
    output: Output,
    found: Mapping[str, Source],
    purse: CostTracker,
    *,
    stop: Callable[[], bool],
) -> ResolvedVisuals:
    """Return what each scene shows; stock pictures are found for it, and generated ones drawn."""
    fresh = bool(job.spec.get("no_cache"))
    kinds = parse_stock_kinds(settings().stock_kinds)
    search = StockSearch(job.account_id, output.size, stock_providers(), kinds, stop, fresh)
    drawing = ImageGenerator(job, purse, image_servers(), stop, fresh)
    return VisualResolver(job, found, search, drawing).show(script.scenes)


def _asset_source(src: str, asset: Asset) -> Source:
    return Source(src=src, storage_key=asset.storage_key, media=Media.from_json(asset.facts))


def _fetch_url(job: Job, url: str, stop: Callable[[], bool]) -> Source | None:
    """Fetch what a URL answers into the account's assets, or return None when it cannot be had or is no medium."""
    try:
        kept = asset_import.import_url(job, url, max_bytes=settings().max_asset_bytes, stop=stop)
    except (AssetUnreadable, UnsupportedMedia) as error:
        log.warning("url_not_had", extra={"reason": error.detail})
        return None
    except AssetUnavailable as error:
        if job.attempt < job.max_attempts:
            raise
        log.warning("url_not_had_in_time", extra={"reason": error.detail})
        return None
    return Source(src=url, storage_key=kept.storage_key, media=kept.media)
