"""Searches the stock providers for one video: each question once for an account, and no picture twice in a video."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_args

from shared.errors import Unavailable
from shared.settings import settings
from tasks.pictures.stock import Candidate, Kind, Need, Pexels, Pixabay, ranked
from tasks.providers import response_cache
from tasks.providers.http_client import Address, Provider, Refused

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Sequence

    from shared.script.values import StockKind
    from tasks.pictures.stock import Library

KIND_OF: dict[StockKind, Kind] = {"photo": "photos", "clip": "clips"}

log = logging.getLogger(__name__)


class Stock:
    """A stock provider: where it is, and how it speaks."""

    def __init__(self, library: Library, provider: Provider) -> None:
        self.library, self.provider = library, provider


@lru_cache(maxsize=1)
def stocks() -> tuple[Stock, ...]:
    """Return the providers that the settings hold a key of, in order; what is learnt of each lasts as long as the process."""
    config = settings()
    found = []
    if key := config.pexels_api_key.get_secret_value():
        address = Address("Pexels", config.pexels_base_url, {"Authorization": key}, read=20.0, deadline=30.0)
        found.append(Stock(Pexels(), Provider(address)))
    if key := config.pixabay_api_key.get_secret_value():
        address = Address("Pixabay", config.pixabay_base_url, read=20.0, deadline=30.0)
        found.append(Stock(Pixabay(key), Provider(address)))
    return tuple(found)


@dataclass
class Search:
    """What one video has looked for and taken. `fresh` asks again whatever is remembered."""

    account_id: uuid.UUID
    size: tuple[int, int]
    among: Sequence[Stock]
    kinds: Sequence[Kind]
    stop: Callable[[], bool]
    fresh: bool = False
    failures: list[Unavailable] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # the providers that refuse, such as for a wrong key
    _taken: set[tuple[str, str]] = field(default_factory=set)
    _spoilt: set[tuple[str, str]] = field(default_factory=set)
    _found: dict[tuple[str, Kind, str], list[Candidate]] = field(default_factory=dict)

    def warm(self, query: str, wanted: StockKind | None = None) -> None:
        """Ask what is asked first, so that many queries are asked at once."""
        if kinds := self._kinds(wanted) if self.among else ():
            self._look(self.among[0], kinds[0], query)

    def choose(self, query: str, wanted: StockKind | None = None) -> Candidate | None:
        """Return the best that no other scene shows; where there is none, one that another shows; else None.

        What a provider could not say for now stands in `failures`.
        """
        seen: list[Candidate] = []
        for kind in self._kinds(wanted):
            for stock in self.among:
                found = [each for each in self._look(stock, kind, query) if _name(each) not in self._spoilt]
                new = next((each for each in found if _name(each) not in self._taken), None)
                if new is not None:
                    self._taken.add(_name(new))
                    return new
                seen += found
        return seen[0] if seen else None

    def spoil(self, candidate: Candidate) -> None:
        """Note that a candidate cannot be had."""
        self._spoilt.add(_name(candidate))

    def _kinds(self, wanted: StockKind | None) -> Sequence[Kind]:
        """Return what to look for: what a scene wants, wins over the settings."""
        return (KIND_OF[wanted],) if wanted else self.kinds

    def _look(self, stock: Stock, kind: Kind, query: str) -> list[Candidate]:
        known = (stock.library.name, kind, query)
        if known not in self._found:
            self._found[known] = self._ask(stock, Need(query, kind, *self.size))
        return self._found[known]

    def _ask(self, stock: Stock, need: Need) -> list[Candidate]:
        asked = [stock.library.name, stock.provider.address.base_url, need.kind, need.query, *self.size]
        question = response_cache.question("stock", self.account_id, asked)
        request = stock.library.request(need)

        def make() -> list[dict[str, Any]]:
            found = stock.provider.ask(request, stock.library.read(need), stop=self.stop)
            return [each.to_json() for each in ranked(found, need)]

        ttl = settings().cache_ttl.total_seconds()
        try:
            answer = response_cache.once(question, make, ttl=ttl, fresh=self.fresh, stop=self.stop)
        except Refused as error:
            log.warning("stock_refused", extra={"provider": stock.library.name, "status": error.status})
            self.refused.append(stock.library.name)
            return []
        except Unavailable as error:
            self.failures.append(error)
            return []
        return [Candidate(**each) for each in answer.value]


def stock_kinds(text: str) -> tuple[Kind, ...]:
    """Read "photos, clips"; what is neither is passed over."""
    named: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
    return tuple(named[part] for part in map(str.strip, text.split(",")) if part in named)


def _name(candidate: Candidate) -> tuple[str, str]:
    return candidate.provider, candidate.number
