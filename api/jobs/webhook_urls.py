"""Checks webhook URLs before jobs are accepted: https, and a host that resolves to public addresses, within seconds."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as LookupTimeout
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.errors import AssetUnreadable
from shared.security import ssrf_guard

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from api.schemas.job import JobSpec

HOST_SECONDS = 3.0  # to resolve one host
REQUEST_SECONDS = 10.0  # to resolve all hosts of a request
MAX_LOOKUPS = 8
_resolvers = ThreadPoolExecutor(MAX_LOOKUPS, thread_name_prefix="resolver")  # threads start on first use


class WebhookUrlChecker:
    """Checks the webhook URLs of one request, each host once."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._until = time.monotonic() + REQUEST_SECONDS
        self._hosts: dict[str, str | None] = {}

    def problem_with(self, url: str) -> str | None:
        """Return why webhooks cannot be sent to the URL, or None."""
        parts = urlsplit(url)
        if parts.scheme != "https" and not self._allow_private:
            return "Must be an https URL."
        host = parts.hostname or ""
        if host not in self._hosts:
            self._hosts[host] = self._check_host(url)
        return self._hosts[host]

    def find_problems(self, specs: Sequence[JobSpec], places: Iterable[str]) -> list[tuple[str, str]]:
        """Return the pointers of the jobs' webhook URLs that are not allowed, each with the reason."""
        return [
            (f"{place}/webhook/url", reason)
            for spec, place in zip(specs, places, strict=True)
            if spec.webhook and (reason := self.problem_with(spec.webhook.url))
        ]

    def _check_host(self, url: str) -> str | None:
        seconds = min(HOST_SECONDS, self._until - time.monotonic())
        if seconds <= 0:
            return f"The webhook hosts of this request did not resolve within {REQUEST_SECONDS:.0f} s. Try again."
        # On an executor, which allows to stop waiting: getaddrinfo has no time limit of its own.
        lookup = _resolvers.submit(ssrf_guard.check_url, url, allow_private=self._allow_private)
        try:
            lookup.result(seconds)
        except LookupTimeout:
            # A lookup that has not started must not occupy a resolver after the request has gone on.
            lookup.cancel()
            is_allowed = self._allow_private or ssrf_guard.may_be_public(urlsplit(url).hostname or "")
            return (
                None
                if is_allowed
                else f"The host did not resolve within {HOST_SECONDS:.0f} s. Check its name, or try again."
            )
        except AssetUnreadable as error:
            return error.detail
        return None
