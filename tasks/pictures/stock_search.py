"""Searches the stock providers for one video: each query once for an account, and no picture twice in a video."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_args

from shared.errors import Unavailable
from shared.settings import settings
from tasks.pictures.stock_apis import Candidate, Kind, Pexels, Pixabay, StockQuery, rank_candidates
from tasks.providers import response_cache
from tasks.providers.http_client import Provider, ProviderConfig, RequestRefused

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Sequence

    from shared.script.values import StockKind
    from tasks.pictures.stock_apis import StockAPI

MEDIA_OF_KIND: dict[StockKind, Kind] = {"photo": "photos", "clip": "clips"}

log = logging.getLogger(__name__)


class StockProvider:
    """A stock provider: its API and its HTTP client."""

    def __init__(self, api: StockAPI, provider: Provider) -> None:
        self.api, self.provider = api, provider


@lru_cache(maxsize=1)
def stock_providers() -> tuple[StockProvider, ...]:
    """Return the providers with a configured key, in order. Their circuit breakers last as long as the process."""
    config = settings()
    found = []
    if key := config.pexels_api_key.get_secret_value():
        address = ProviderConfig(
            "Pexels", config.pexels_base_url, {"Authorization": key}, read=20.0, deadline=30.0
        )
        found.append(StockProvider(Pexels(), Provider(address)))
    if key := config.pixabay_api_key.get_secret_value():
        address = ProviderConfig("Pixabay", config.pixabay_base_url, read=20.0, deadline=30.0)
        found.append(StockProvider(Pixabay(key), Provider(address)))
    return tuple(found)


@dataclass
class StockSearch:
    """The searches of one video, and the candidates it uses. `refresh` ignores the cache."""

    account_id: uuid.UUID
    size: tuple[int, int]
    providers: Sequence[StockProvider]
    kinds: Sequence[Kind]
    stop: Callable[[], bool]
    refresh: bool = False
    failures: list[Unavailable] = field(default_factory=list)
    refusing_providers: list[str] = field(default_factory=list)  # such as for a wrong key
    _used: set[tuple[str, str]] = field(default_factory=set)
    _unusable: set[tuple[str, str]] = field(default_factory=set)
    _results: dict[tuple[str, Kind, str], list[Candidate]] = field(default_factory=dict)

    def prefetch(self, query: str, scene_kind: StockKind | None = None) -> None:
        """Run the first search of a query, so that several threads can search at once."""
        if kinds := self._kinds(scene_kind) if self.providers else ():
            self._results_of(self.providers[0], kinds[0], query)

    def choose(self, query: str, scene_kind: StockKind | None = None) -> Candidate | None:
        """Return the best candidate that no other scene uses; else one that another scene uses; else None.

        Searches that failed for now are collected in `failures`.
        """
        seen: list[Candidate] = []
        for kind in self._kinds(scene_kind):
            for stock in self.providers:
                found = [
                    each
                    for each in self._results_of(stock, kind, query)
                    if _candidate_id(each) not in self._unusable
                ]
                new = next((each for each in found if _candidate_id(each) not in self._used), None)
                if new is not None:
                    self._used.add(_candidate_id(new))
                    return new
                seen += found
        return seen[0] if seen else None

    def mark_unusable(self, candidate: Candidate) -> None:
        """Exclude a candidate whose file could not be fetched."""
        self._unusable.add(_candidate_id(candidate))

    def _kinds(self, scene_kind: StockKind | None) -> Sequence[Kind]:
        """Return the media kinds to search, in order: the scene's own, else the configured ones."""
        return (MEDIA_OF_KIND[scene_kind],) if scene_kind else self.kinds

    def _results_of(self, stock: StockProvider, kind: Kind, query: str) -> list[Candidate]:
        known = (stock.api.name, kind, query)
        if known not in self._results:
            self._results[known] = self._fetch_results(stock, StockQuery(query, kind, *self.size))
        return self._results[known]

    def _fetch_results(self, stock: StockProvider, query: StockQuery) -> list[Candidate]:
        asked = [stock.api.name, stock.provider.config.base_url, query.kind, query.query, *self.size]
        question = response_cache.cache_key("stock", self.account_id, asked)
        request = stock.api.request(query)

        def make() -> list[dict[str, Any]]:
            found = stock.provider.call(request, stock.api.read(query), stop=self.stop)
            return [each.to_json() for each in rank_candidates(found, query)]

        ttl = settings().cache_ttl.total_seconds()
        try:
            answer = response_cache.get_or_compute(
                question, make, ttl=ttl, refresh=self.refresh, stop=self.stop
            )
        except RequestRefused as error:
            log.warning("stock_refused", extra={"provider": stock.api.name, "status": error.status})
            self.refusing_providers.append(stock.api.name)
            return []
        except Unavailable as error:
            self.failures.append(error)
            return []
        return [Candidate(**each) for each in answer.value]


def parse_stock_kinds(text: str) -> tuple[Kind, ...]:
    """Parse a setting such as "photos, clips"; unknown words are ignored."""
    named: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
    return tuple(named[part] for part in map(str.strip, text.split(",")) if part in named)


def _candidate_id(candidate: Candidate) -> tuple[str, str]:
    return candidate.provider, candidate.number
