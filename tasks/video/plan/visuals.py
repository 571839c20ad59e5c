"""Decides what each scene shows: its visual, or the first of its fallbacks that can be had.

Scenes go round by round: what each wants is chosen in their order, so that the same script chooses the same, and then
fetched a few at once; who got nothing tries its next.
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
    from collections.abc import Callable, Mapping, Sequence

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
EXTERNAL_TYPES = (
    "image",
    "video",
    "stock",
    "generated",
)  # what all other visuals show is drawn by the renderer
MAX_CANDIDATES = 3  # that a scene tries before it takes its fallback


@dataclass(frozen=True, slots=True)
class ResolvedVisuals:
    """The scenes with visuals that can be rendered, their files, whom to thank, and what a person should know."""

    scenes: tuple[Scene, ...]
    sources: Mapping[str, Source]
    credits: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _PendingVisual:
    """A scene on the way to its visual."""

    scene: Scene
    visual: Visual | None
    candidate: Candidate | None = None
    number: int = 0  # of the pictures that are drawn of one prompt
    tried: int = 0
    reason: str = ""  # why the first choice could not be had
    later: Unavailable | None = None  # whether it may be had later

    def fall_back(self, reason: str, later: Unavailable | None = None) -> None:
        """Go on to the fallback, or raise where there is none."""
        self.reason = self.reason or reason
        self.later = self.later or later
        visual = self.visual
        self.visual = visual.fallback if visual else None
        self.candidate, self.tried = None, 0
        if self.visual is None:
            detail = f"The visual of scene {self.scene.id!r} cannot be had: {self.reason}"
            if self.later is None:
                raise AssetUnreadable(detail)
            wait = self.later.retry_after
            raise AssetUnavailable(detail) if wait is None else AssetUnavailable(detail, wait)


@dataclass
class VisualResolver:
    """Has the pictures of one video found and made."""

    job: Job
    found: Mapping[str, Source]
    search: StockSearch
    drawing: ImageGenerator
    sources: dict[str, Source] = field(default_factory=dict)
    credits: dict[str, dict[str, Any]] = field(default_factory=dict)
    _prompts: Counter[str] = field(default_factory=Counter)

    def show(self, scenes: Sequence[Scene]) -> ResolvedVisuals:
        """Return what every scene shows; or raise AssetUnreadable, Unavailable, QuotaExceeded or Stopped."""
        wishes = [_PendingVisual(scene, scene.visual) for scene in scenes]
        self._warm(wishes)
        pending = wishes
        while pending := [wish for wish in pending if not self._settled(wish)]:
            for wish, outcome in zip(pending, _call_concurrently(self._get, pending), strict=True):
                self._judge(wish, outcome)
        return ResolvedVisuals(
            scenes=tuple(replace(wish.scene, visual=wish.visual) for wish in wishes),
            sources=self.sources,
            credits=tuple(self.credits[wish.scene.id] for wish in wishes if wish.scene.id in self.credits),
            warnings=tuple(
                f"Scene {wish.scene.id!r} shows its fallback: {wish.reason}" for wish in wishes if wish.reason
            ),
        )

    def _warm(self, wishes: Sequence[_PendingVisual]) -> None:
        visuals = [wish.visual for wish in wishes if wish.visual and wish.visual.type == "stock"]
        queries = list(dict.fromkeys((visual.query or "", visual.kind) for visual in visuals))
        for outcome in (
            _call_concurrently(lambda asked: self.search.prefetch(*asked), queries)
            if len(queries) > 1
            else ()
        ):
            if isinstance(outcome, Exception):
                raise outcome

    def _settled(self, wish: _PendingVisual) -> bool:
        """Say whether the wish needs nothing from outside; what does is chosen here, in the order of the scenes."""
        while (visual := wish.visual) is not None and visual.type in EXTERNAL_TYPES:
            if visual.type == "generated":
                wish.number = self._prompts[visual.prompt or ""]
                self._prompts[visual.prompt or ""] += 1
                return False
            if visual.type == "stock":
                if self._choose(wish, visual):
                    return False
                continue
            source = self.found.get(visual.src or "") or self.sources.get(visual.src or "")
            if source is not None and source.media.kind == visual.type:
                return True
            wish.fall_back(f"its {visual.type} cannot be had or is none.")
        return True

    def _choose(self, wish: _PendingVisual, visual: Visual) -> bool:
        if not self.search.providers:
            wish.fall_back("no stock provider is set up.")
            return False
        left = wish.tried < MAX_CANDIDATES
        wish.candidate = self.search.choose(visual.query or "", visual.kind) if left else None
        if wish.candidate is not None:
            return True
        wish.fall_back(self._why_nothing(), next(iter(self.search.failures), None))
        return False

    def _why_nothing(self) -> str:
        if self.search.failures:
            return "no stock provider could be asked."
        if self.search.refusing_providers:
            return f"{' and '.join(dict.fromkeys(self.search.refusing_providers))} refused the search."
        return "no stock provider has what was asked for."

    def _get(self, wish: _PendingVisual) -> ImportedAsset:
        visual = wish.visual
        if visual is not None and visual.type == "generated":
            shape = StockQuery("", "photos", *self.search.size).orientation
            return self.drawing.generate(visual.prompt or "", shape, wish.number)
        if wish.candidate is None:
            raise TypeError(wish.scene.id)  # `_settled` said otherwise
        return self._download(wish.candidate)

    def _download(self, candidate: Candidate) -> ImportedAsset:
        job, stop = self.job, self.search.stop
        question = response_cache.cache_key("file", job.account_id, [candidate.provider, candidate.url])
        most = settings().max_stock_file_bytes

        def make() -> dict[str, Any]:
            kept = asset_import.import_url(job, candidate.url, max_bytes=most, stop=stop, name=candidate.page)
            return {"asset_id": str(kept.asset_id)}

        return cached_asset(job, question, make, refresh=False, stop=stop)

    def _judge(self, wish: _PendingVisual, outcome: ImportedAsset | Exception) -> None:
        if isinstance(outcome, (AssetUnreadable, UnsupportedMedia, Unavailable)):
            self._failed(wish, outcome)
        elif isinstance(outcome, Exception):
            raise outcome
        elif outcome.media.kind == (wish.candidate.kind if wish.candidate else "image"):
            self._take(wish, outcome)
        else:
            self._failed(wish, AssetUnreadable("what came is something else than was promised."))

    def _failed(self, wish: _PendingVisual, error: AssetUnreadable | UnsupportedMedia | Unavailable) -> None:
        log.warning("picture_not_had", extra={"scene": wish.scene.id, "reason": error.detail})
        later = error if isinstance(error, Unavailable) else None
        if wish.candidate is None:
            wish.fall_back(error.detail[:1].lower() + error.detail[1:], later)
            return
        self.search.mark_unusable(wish.candidate)
        wish.tried += 1
        wish.later = wish.later or later

    def _take(self, wish: _PendingVisual, kept: ImportedAsset) -> None:
        visual, candidate = wish.visual, wish.candidate
        if visual is None:
            raise TypeError(wish.scene.id)
        kind: Literal["image", "video"] = "video" if kept.media.kind == "video" else "image"
        # A clip moves by itself; the motion was meant for a picture that stands still.
        motion = "none" if kind == "video" else visual.motion
        wish.visual = replace(
            visual, type=kind, src=kept.src, query=None, kind=None, prompt=None, motion=motion, fallback=None
        )
        self.sources[kept.src] = Source(kept.src, kept.storage_key, kept.media)
        if candidate is not None:
            self.credits[wish.scene.id] = {
                "scene": wish.scene.id,
                "provider": candidate.provider,
                "author": candidate.author,
                "author_url": candidate.author_url,
                "page": candidate.page,
                "asset_id": str(kept.asset_id),
            }


def _call_concurrently(call: Callable[[T], R], items: Sequence[T]) -> list[R | Exception]:
    """Return what each call returned or raised, in order; a few run at once."""

    def outcome(item: T) -> R | Exception:
        try:
            return call(item)
        except Exception as error:  # noqa: BLE001 - the caller judges it
            return error

    with ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="pictures") as pool:
        running = [pool.submit(copy_context().run, outcome, item) for item in items]
        return [each.result() for each in running]
