"""The two clients: `Scenemill` blocks, `AsyncScenemill` is for event loops (asyncio or trio)."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack

import httpx

from scenemill import async_resources, resources
from scenemill.auth import KeyAuth, TokenAuth, by_password
from scenemill.calls import accounts, tasks
from scenemill.core.binding import AsyncResource, Resource, async_call, async_iterate, call, iterate
from scenemill.core.drivers import AsyncDriver, Driver
from scenemill.core.retry import Retry

if TYPE_CHECKING:
    from types import TracebackType

TIMEOUT = httpx.Timeout(30.0, connect=5.0)


class Options(TypedDict, total=False):
    """What a client may be given beside an address and a key.

    With a user's name and password it logs in, and renews its tokens by itself; `auth` may be a `TokenAuth` of your own.
    `timeout` is in seconds, for each connection, read and write; `retry` says how failures that pass are dealt with.
    """

    username: str
    password: str
    auth: httpx.Auth
    timeout: httpx.Timeout | float
    retry: Retry


class Scenemill(Resource):
    """A connection to one Scenemill, by an API key or as `Options` say. Use it as a context manager, or call `close`.

    Its parts: `jobs`, `tasks`, `batches`, `assets`, `uploads`, `templates`, `themes`, `voices`, `webhooks`, `keys`,
    `tokens`, `admin`.
    """

    usage = call(accounts.usage)
    events = iterate(tasks.watch_all)

    def __init__(self, base_url: str, api_key: str | None = None, **options: Unpack[Options]) -> None:
        self._http = httpx.Client(**_http_options(base_url, api_key, options))
        super().__init__(driver := Driver(self._http, options.get("retry") or Retry()))
        self.jobs = resources.Jobs(driver)
        self.tasks = resources.Tasks(driver)
        self.batches = resources.Batches(driver)
        self.assets = resources.Assets(driver)
        self.uploads = resources.Uploads(driver)
        self.templates = resources.Templates(driver)
        self.themes = resources.Themes(driver)
        self.voices = resources.Voices(driver)
        self.webhooks = resources.Webhooks(driver)
        self.keys = resources.Keys(driver)
        self.tokens = resources.Tokens(driver)
        self.admin = resources.Admin(driver)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()


class AsyncScenemill(AsyncResource):
    """As `Scenemill`, for asyncio and trio: calls are awaited, lists and events are for `async for`.

    Use it as an asynchronous context manager, or await `close`.
    """

    usage = async_call(accounts.usage)
    events = async_iterate(tasks.watch_all)

    def __init__(self, base_url: str, api_key: str | None = None, **options: Unpack[Options]) -> None:
        self._http = httpx.AsyncClient(**_http_options(base_url, api_key, options))
        super().__init__(driver := AsyncDriver(self._http, options.get("retry") or Retry()))
        self.jobs = async_resources.AsyncJobs(driver)
        self.tasks = async_resources.AsyncTasks(driver)
        self.batches = async_resources.AsyncBatches(driver)
        self.assets = async_resources.AsyncAssets(driver)
        self.uploads = async_resources.AsyncUploads(driver)
        self.templates = async_resources.AsyncTemplates(driver)
        self.themes = async_resources.AsyncThemes(driver)
        self.voices = async_resources.AsyncVoices(driver)
        self.webhooks = async_resources.AsyncWebhooks(driver)
        self.keys = async_resources.AsyncKeys(driver)
        self.tokens = async_resources.AsyncTokens(driver)
        self.admin = async_resources.AsyncAdmin(driver)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()


def _http_options(base_url: str, api_key: str | None, options: Options) -> dict[str, Any]:
    """Return how httpx is set up, or raise TypeError for an option that there is not."""
    if unknown := options.keys() - Options.__annotations__.keys():
        raise TypeError(
            f"There is no option {', '.join(sorted(unknown))}. There are {', '.join(Options.__annotations__)}."
        )
    return {
        "base_url": base_url.rstrip("/"),
        "headers": {"User-Agent": f"scenemill-python/{version('scenemill')}"},
        "timeout": options.get("timeout", TIMEOUT),
        "follow_redirects": False,
        "auth": options.get("auth") or _auth(api_key, options.get("username"), options.get("password")),
    }


def _auth(api_key: str | None, username: str | None, password: str | None) -> httpx.Auth | None:
    if api_key is not None:
        return KeyAuth(api_key)
    if username is None and password is None:
        return None
    if username is None or password is None:
        raise TypeError("A username needs a password, and a password a username.")
    return TokenAuth(by_password(username, password))
