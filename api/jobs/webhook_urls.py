"""Looks where webhooks would go before they are taken, for no longer than a request can bear."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.errors import AssetUnreadable
from shared.security import ssrf_guard

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from api.schemas.job import JobSpec

HOST_SECONDS = 3.0  # to find one host
REQUEST_SECONDS = 10.0  # to find all hosts of a request
MAX_LOOKUPS = 8
_resolvers = ThreadPoolExecutor(
    MAX_LOOKUPS, thread_name_prefix="resolver"
)  # its threads start when they are needed


class WebhookUrlChecker:
    """Remembers for one request which addresses may be told."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._until = time.monotonic() + REQUEST_SECONDS
        self._hosts: dict[str, str | None] = {}

    def problem_with(self, url: str) -> str | None:
        """Return why nothing can be sent to the address, or None."""
        parts = urlsplit(url)
        if parts.scheme != "https" and not self._allow_private:
            return "Must be an https URL."
        host = parts.hostname or ""
        if host not in self._hosts:
            self._hosts[host] = self._check_host(url)
        return self._hosts[host]

    def find_problems(self, specs: Sequence[JobSpec], places: Iterable[str]) -> list[tuple[str, str]]:
        """Return the places of the jobs' addresses that lead to where we do not send, each with the reason."""
        return [
            (f"{place}/webhook/url", reason)
            for spec, place in zip(specs, places, strict=True)
            if spec.webhook and (reason := self.problem_with(spec.webhook.url))
        ]

    def _check_host(self, url: str) -> str | None:
        left = min(HOST_SECONDS, self._until - time.monotonic())
        if left <= 0:
            return "The hosts of this request take too long to be found."
        looking = _resolvers.submit(ssrf_guard.check_url, url, allow_private=self._allow_private)
        try:
            looking.result(left)
        except Late:
            looking.cancel()
            known = self._allow_private or ssrf_guard.may_be_public(urlsplit(url).hostname or "")
            return None if known else "The host cannot be found in time."
        except AssetUnreadable as error:
            return error.detail
        return None
