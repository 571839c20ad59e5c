"""Resolves each scene's visual to a file or a drawing: the visual itself, or its first fallback that is available.

Scenes are resolved in rounds. A round chooses candidates in the order of the scenes, so that the same script always makes
the same choices, and downloads a few at once; a scene whose download failed tries its next candidate in the next round.
"""

from __future__ import annotations

import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from shared.errors import AssetUnavailable, AssetUnreadable, Unavailable, UnsupportedMedia
from shared.settings import settings
from tasks.pictures import asset_import
from tasks.pictures.generation import cached_asset
from tasks.pictures.stock_apis import StockQuery
from tasks.providers import response_cache
from tasks.video.plan.values import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from shared.models import Job
    from shared.script.values import Scene, Visual
    from tasks.pictures.asset_import import ImportedAsset
    from tasks.pictures.generation import ImageGenerator
    from tasks.pictures.stock_apis import Candidate
    from tasks.pictures.stock_search import StockSearch

T = TypeVar("T")
R = TypeVar("R")

log = logging.getLogger(__name__)

CONCURRENCY = 4
# The renderer draws all other types itself.
EXTERNAL_TYPES = ("image", "video", "stock", "generated")
MAX_CANDIDATES = 3  # stock files that a scene tries before its fallback


@dataclass(frozen=True, slots=True)
class ResolvedVisuals:
    """The scenes with visuals that can be rendered, the fetched files, credits, and warnings for the job's result."""

    scenes: tuple[Scene, ...]
    sources: Mapping[str, Source]
    credits: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _PendingVisual:
    """A scene whose visual is being resolved."""

    scene: Scene
    visual: Visual | None
    candidate: Candidate | None = None
    variant: int = 0  # numbers the scenes of one prompt, so that each gets a picture of its own
    attempts: int = 0
    reason: str = ""  # why the scene's own visual is not shown
    unavailable: Unavailable | None = None  # set if a later attempt may succeed

    def fall_back(self, reason: str, unavailable: Unavailable | None = None) -> None:
        """Move on to the fallback, or raise AssetUnavailable or AssetUnreadable if there is none."""
        self.reason = self.reason or reason
        self.unavailable = self.unavailable or unavailable
        visual = self.visual
        self.visual = visual.fallback if visual else None
        self.candidate, self.attempts = None, 0
        if self.visual is None:
            detail = f"The visual of scene {self.scene.id!r} is not available: {self.reason}"
            if self.unavailable is None:
                raise AssetUnreadable(detail)
            wait = self.unavailable.retry_after
            raise AssetUnavailable(detail) if wait is None else AssetUnavailable(detail, wait)


@dataclass
class VisualResolver:
    """Finds, downloads and generates the pictures of one video."""

    job: Job
    script_sources: Mapping[str, Source]
    search: StockSearch
    generator: ImageGenerator
    fetched_sources: dict[str, Source] = field(default_factory=dict)
    credits: dict[str, dict[str, Any]] = field(default_factory=dict)
    _prompts: Counter[str] = field(default_factory=Counter)

    def resolve(self, scenes: Sequence[Scene]) -> ResolvedVisuals:
        """Return what each scene shows. Raise AssetUnreadable, Unavailable, QuotaExceeded or Stopped."""
        all_pending = [_PendingVisual(scene, scene.visual) for scene in scenes]
        self._prefetch_searches(all_pending)
        unresolved = all_pending
        while unresolved := [pending for pending in unresolved if not self._is_resolved(pending)]:
            for pending, outcome in zip(
                unresolved, _call_concurrently(self._obtain, unresolved), strict=True
            ):
                self._handle_outcome(pending, outcome)
        return ResolvedVisuals(
            scenes=tuple(replace(pending.scene, visual=pending.visual) for pending in all_pending),
            sources=self.fetched_sources,
            credits=tuple(
                self.credits[pending.scene.id] for pending in all_pending if pending.scene.id in self.credits
            ),
            warnings=(*self._fallback_warnings(all_pending), *self._silent_clip_warnings(all_pending)),
        )

    @staticmethod
    def _fallback_warnings(all_pending: Sequence[_PendingVisual]) -> Iterator[str]:
        for pending in all_pending:
            if pending.reason:
                yield f"Scene {pending.scene.id!r} shows its fallback: {pending.reason}"

    def _silent_clip_warnings(self, all_pending: Sequence[_PendingVisual]) -> Iterator[str]:
        for pending in all_pending:
            visual = pending.visual
            if visual is None or visual.volume <= 0:
                continue
            source = self.script_sources.get(visual.src or "") or self.fetched_sources.get(visual.src or "")
            if source is not None and source.media.sound_unreadable:
                yield f"The clip of scene {pending.scene.id!r} is silent: its sound has a codec that is not supported."

    def _prefetch_searches(self, all_pending: Sequence[_PendingVisual]) -> None:
        visuals = [
            pending.visual for pending in all_pending if pending.visual and pending.visual.type == "stock"
        ]
        queries = list(dict.fromkeys((visual.query or "", visual.kind) for visual in visuals))
        for outcome in (
            _call_concurrently(lambda query: self.search.prefetch(*query), queries)
            if len(queries) > 1
            else ()
        ):
            if isinstance(outcome, Exception):
                raise outcome

    def _is_resolved(self, pending: _PendingVisual) -> bool:
        """Return whether nothing has to be fetched for the scene; if something has, choose it here, in scene order."""
        while (visual := pending.visual) is not None and visual.type in EXTERNAL_TYPES:
            if visual.type == "generated":
                pending.variant = self._prompts[visual.prompt or ""]
                self._prompts[visual.prompt or ""] += 1
                return False
            if visual.type == "stock":
                if self._choose_candidate(pending, visual):
                    return False
                continue
            source = self.script_sources.get(visual.src or "") or self.fetched_sources.get(visual.src or "")
            if source is not None and source.media.kind == visual.type:
                return True
            pending.fall_back(f"its {visual.type} is missing or is not a {visual.type}.")
        return True

    def _choose_candidate(self, pending: _PendingVisual, visual: Visual) -> bool:
        if not self.search.providers:
            pending.fall_back("no stock provider is set up.")
            return False
        left = pending.attempts < MAX_CANDIDATES
        pending.candidate = self.search.choose(visual.query or "", visual.kind) if left else None
        if pending.candidate is not None:
            return True
        pending.fall_back(self._search_failure_reason(), next(iter(self.search.failures), None))
        return False

    def _search_failure_reason(self) -> str:
        if self.search.failures:
            return "no stock provider answered."
        if self.search.refusing_providers:
            return f"{' and '.join(dict.fromkeys(self.search.refusing_providers))} refused the search."
        return "no stock provider found a match."

    def _obtain(self, pending: _PendingVisual) -> ImportedAsset:
        visual = pending.visual
        if visual is not None and visual.type == "generated":
            shape = StockQuery("", "photos", *self.search.size).orientation
            return self.generator.generate(visual.prompt or "", shape, pending.variant)
        if pending.candidate is None:
            raise TypeError(pending.scene.id)  # `_is_resolved` said otherwise
        return self._download(pending.candidate)

    def _download(self, candidate: Candidate) -> ImportedAsset:
        job, stop = self.job, self.search.stop
        cache_key = response_cache.cache_key("file", job.account_id, [candidate.provider, candidate.url])
        max_bytes = settings().max_stock_file_bytes

        def make() -> dict[str, Any]:
            asset = asset_import.import_url(
                job, candidate.url, max_bytes=max_bytes, stop=stop, name=candidate.page
            )
            return {"asset_id": str(asset.asset_id)}

        return cached_asset(job, cache_key, make, refresh=False, stop=stop)

    def _handle_outcome(self, pending: _PendingVisual, outcome: ImportedAsset | Exception) -> None:
        if isinstance(outcome, (AssetUnreadable, UnsupportedMedia, Unavailable)):
            self._handle_failure(pending, outcome)
        elif isinstance(outcome, Exception):
            raise outcome
        elif outcome.media.kind == (pending.candidate.kind if pending.candidate else "image"):
            self._accept(pending, outcome)
        else:
            self._handle_failure(
                pending, AssetUnreadable("the downloaded file is of another kind than the provider stated.")
            )

    def _handle_failure(
        self, pending: _PendingVisual, error: AssetUnreadable | UnsupportedMedia | Unavailable
    ) -> None:
        log.warning("picture_unavailable", extra={"scene": pending.scene.id, "reason": error.detail})
        unavailable = error if isinstance(error, Unavailable) else None
        if pending.candidate is None:
            pending.fall_back(error.detail[:1].lower() + error.detail[1:], unavailable)
            return
        self.search.mark_unusable(pending.candidate)
        pending.attempts += 1
        pending.unavailable = pending.unavailable or unavailable

    def _accept(self, pending: _PendingVisual, asset: ImportedAsset) -> None:
        visual, candidate = pending.visual, pending.candidate
        if visual is None:
            raise TypeError(pending.scene.id)
        kind: Literal["image", "video"] = "video" if asset.media.kind == "video" else "image"
        # A clip moves by itself: a zoom meant for a still picture would fight with it.
        motion = "none" if kind == "video" else visual.motion
        pending.visual = replace(
            visual, type=kind, src=asset.src, query=None, kind=None, prompt=None, motion=motion, fallback=None
        )
        self.fetched_sources[asset.src] = Source(asset.src, asset.storage_key, asset.media)
        if candidate is not None:
            self.credits[pending.scene.id] = {
                "scene": pending.scene.id,
                "provider": candidate.provider,
                "author": candidate.author,
                "author_url": candidate.author_url,
                "page": candidate.page,
                "asset_id": str(asset.asset_id),
            }


def _call_concurrently(call: Callable[[T], R], items: Sequence[T]) -> list[R | Exception]:
    """Return what each call returned or raised, in order, with at most CONCURRENCY running at once."""

    def outcome(item: T) -> R | Exception:
        try:
            return call(item)
        except Exception as error:  # noqa: BLE001  (the caller raises what it does not expect)
            return error

    with ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="pictures") as pool:
        # Each call gets a copy of the context, or its log lines would lack the task's id.
        running = [pool.submit(copy_context().run, outcome, item) for item in items]
        return [future.result() for future in running]
