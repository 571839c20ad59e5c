"""Tokens: fetched with a password or a key, renewed before they end, and kept where the caller says.

A refresh token is good for one use, and a second use ends the log-in: whoever renews holds the store's lock.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import anyio.to_thread
import httpx

from scenemill.core.sending import api_error
from scenemill.errors import ApiError, Unreachable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from contextlib import AbstractContextManager

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
EARLY = 30.0  # seconds before its end that a token is renewed


@dataclass(frozen=True)
class Tokens:
    """What a log-in has given."""

    access_token: str
    refresh_token: str
    expires_at: float

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Tokens:
        """Read the API's answer."""
        return cls(body["access_token"], body["refresh_token"], time.time() + float(body["expires_in"]))

    @property
    def fresh(self) -> bool:
        """Tell whether the access token is good for a while."""
        return time.time() < self.expires_at - EARLY


class Store(Protocol):
    """Where tokens are kept, for one process or for many."""

    def locked(self) -> AbstractContextManager[None]:
        """Let nobody else renew meanwhile."""

    def load(self) -> Tokens | None:
        """Return what is kept."""

    def save(self, tokens: Tokens | None) -> None:
        """Keep these instead."""


class Memory:
    """Keeps tokens for as long as the process lives."""

    def __init__(self) -> None:
        self._tokens: Tokens | None = None

    def locked(self) -> AbstractContextManager[None]:
        """Do nothing: who uses it has a lock of its own."""
        return contextlib.nullcontext()

    def load(self) -> Tokens | None:
        """Return what is kept."""
        return self._tokens

    def save(self, tokens: Tokens | None) -> None:
        """Keep these instead."""
        self._tokens = tokens


class KeyAuth(httpx.Auth):
    """Brings an API key."""

    def __init__(self, key: str) -> None:
        self._header = f"Bearer {key}"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Put the key into the request."""
        request.headers["Authorization"] = self._header
        yield request


class TokenAuth(httpx.Auth):
    """Logs in when it must, and brings access tokens. `grant` is what a log-in takes; without it, only stored tokens help."""

    def __init__(self, grant: dict[str, str] | None = None, store: Store | None = None) -> None:
        self._grant = grant
        self._store = store or Memory()
        self._lock = threading.Lock()
        self._async_lock: anyio.Lock | None = None
        self._tokens: Tokens | None = None

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Bring a token that is good; where it was ended meanwhile, bring another, once."""
        tokens = yield from self._locked(request, None)
        answer = yield _with(request, tokens)
        if _refused(request, answer):
            answer.read()
            yield _with(request, (yield from self._locked(request, tokens)))

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Bring a token that is good; where it was ended meanwhile, bring another, once."""
        tokens: Tokens | None = None
        while True:
            async with self._turn():
                flow = self._good(request, tokens)
                try:
                    step = next(flow)
                    while True:
                        answer = yield step
                        await answer.aread()
                        step = flow.send(answer)
                except StopIteration as stop:
                    tokens, again = stop.value, tokens is not None
                finally:
                    flow.close()
            answer = yield _with(request, tokens)
            if again or not _refused(request, answer):
                return
            await answer.aread()

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None]:
        """Let no other task renew meanwhile. The store's lock may block: a thread waits for it."""
        if self._async_lock is None:
            self._async_lock = anyio.Lock()
        async with self._async_lock:
            with contextlib.ExitStack() as held:
                await anyio.to_thread.run_sync(held.enter_context, self._store.locked())
                yield

    def _locked(
        self, request: httpx.Request, refused: Tokens | None
    ) -> Generator[httpx.Request, httpx.Response, Tokens]:
        with self._lock:
            if (held := self._tokens) and held.fresh and held != refused:
                return held
            with self._store.locked():
                return (yield from self._good(request, refused))

    def _good(
        self, request: httpx.Request, refused: Tokens | None
    ) -> Generator[httpx.Request, httpx.Response, Tokens]:
        """Return tokens that are fresh and not those that were refused. Whoever calls it holds the locks."""
        if (held := self._tokens) and held.fresh and held != refused:
            return held
        kept = self._store.load()
        if not (kept and kept.fresh and kept != refused):
            kept = yield from self._renewed(request, kept)
            self._store.save(kept)
        self._tokens = kept
        return kept

    def _renewed(
        self, request: httpx.Request, kept: Tokens | None
    ) -> Generator[httpx.Request, httpx.Response, Tokens]:
        """Renew by the refresh token, or where that is over, log in again."""
        if kept:
            answer = yield _ask(request, "refresh", {"refresh_token": kept.refresh_token})
            answer.read()
            if answer.is_success:
                return Tokens.from_json(answer.json())
            error = api_error(answer)
            if self._grant is None or error.problem.raw.get("error") != "invalid_grant":
                raise error
        if self._grant is None:
            raise ApiError(401, {"title": "Not logged in", "detail": "Log in first."})
        answer = yield _ask(request, "token", self._grant)
        answer.read()
        if not answer.is_success:
            raise api_error(answer)
        return Tokens.from_json(answer.json())


def by_password(username: str, password: str, **more: str) -> dict[str, str]:
    """Return what a user logs in with. `new_password` sets another; `scope` asks for fewer scopes."""
    return {"grant_type": "password", "username": username, "password": password, **more}


def by_key(key: str, **more: str) -> dict[str, str]:
    """Return what the holder of an API key logs in with, so that the key itself travels once."""
    key_id = key.split("_")[2] if key.count("_") == 4 else key
    return {"grant_type": "client_credentials", "client_id": key_id, "client_secret": key, **more}


def log_in(api: str, grant: dict[str, str]) -> Tokens:
    """Change a grant for tokens, or raise ApiError or Unreachable."""
    return Tokens.from_json(_post(api, "token", grant).json())


def log_out(api: str, tokens: Tokens) -> None:
    """End the log-in of these tokens."""
    _post(api, "revoke", {"token": tokens.refresh_token})


def _post(api: str, what: str, form: dict[str, str]) -> httpx.Response:
    try:
        answer = httpx.post(f"{api.rstrip('/')}/v1/auth/{what}", data=form, timeout=TIMEOUT)
    except httpx.TransportError as error:
        raise Unreachable(f"No answer from {api}: {error}") from error
    if not answer.is_success:
        raise api_error(answer)
    return answer


def _with(request: httpx.Request, tokens: Tokens) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {tokens.access_token}"
    return request


def _refused(request: httpx.Request, answer: httpx.Response) -> bool:
    """Tell whether a token was refused, and whether the request can be sent again with another."""
    return answer.status_code == httpx.codes.UNAUTHORIZED and isinstance(request.stream, httpx.ByteStream)


def _ask(request: httpx.Request, what: str, form: dict[str, str]) -> httpx.Request:
    # Beside the request, at the same server: wherever the API is mounted, its paths begin with /v1.
    prefix, _, _ = request.url.path.partition("/v1/")
    url = request.url.copy_with(path=f"{prefix}/v1/auth/{what}", query=None)
    headers = {"User-Agent": request.headers.get("User-Agent", "")}
    return httpx.Request("POST", url, data=form, headers=headers, extensions=request.extensions)
