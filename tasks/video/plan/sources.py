"""Finds the files that a script names: the account's assets by one query, and URLs by importing them as assets."""

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
    """Return the source of each `src` that is usable.

    A missing or unusable file is left out, so that its visual's fallback is shown. Raise AssetUnavailable when a URL may
    work later and the job has another attempt.
    """
    srcs = list(dict.fromkeys(source.src for source in list_sources(script)))
    ids = {uuid.UUID(src.removeprefix(ASSET_PREFIX)): src for src in srcs if src.startswith(ASSET_PREFIX)}
    sources = _find_assets(job, ids) if ids else {}
    for url in srcs:
        if not url.startswith(ASSET_PREFIX) and (fetched := _fetch_url(job, url, stop)):
            sources[url] = fetched
    return sources


def _find_assets(job: Job, ids: Mapping[uuid.UUID, str]) -> dict[str, Source]:
    with transaction() as session:
        rows = session.scalars(select(Asset).where(Asset.account_id == job.account_id, Asset.id.in_(ids)))
        return {ids[row.id]: _asset_source(ids[row.id], row) for row in rows}


def resolve_visuals(
    job: Job,
    script: Script,
    output: Output,
    sources: Mapping[str, Source],
    cost_tracker: CostTracker,
    *,
    stop: Callable[[], bool],
) -> ResolvedVisuals:
    """Return what each scene shows, with stock media found and images generated."""
    no_cache = bool(job.spec.get("no_cache"))
    kinds = parse_stock_kinds(settings().stock_kinds)
    search = StockSearch(job.account_id, output.size, stock_providers(), kinds, stop, no_cache)
    generator = ImageGenerator(job, cost_tracker, image_servers(), stop, no_cache)
    return VisualResolver(job, sources, search, generator).resolve(script.scenes)


def _asset_source(src: str, asset: Asset) -> Source:
    return Source(src=src, storage_key=asset.storage_key, media=Media.from_json(asset.facts))


def _fetch_url(job: Job, url: str, stop: Callable[[], bool]) -> Source | None:
    """Import the URL's file into the account's assets, or return None when it is missing or not a supported medium."""
    try:
        asset = asset_import.import_url(job, url, max_bytes=settings().max_asset_bytes, stop=stop)
    except (AssetUnreadable, UnsupportedMedia) as error:
        log.warning("url_unusable", extra={"reason": error.detail})
        return None
    except AssetUnavailable as error:
        if job.attempt < job.max_attempts:
            raise
        log.warning("url_unavailable", extra={"reason": error.detail})
        return None
    return Source(src=url, storage_key=asset.storage_key, media=asset.media)
