"""Generates pictures, each once for an account, by the first configured image server that can."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from shared.errors import AssetUnavailable, AssetUnreadable, Unavailable, UnsupportedMedia
from shared.settings import settings
from shared.usage import UsageKind
from tasks.pictures import asset_import
from tasks.pictures.image_server import ImageServer
from tasks.providers import response_cache
from tasks.providers.http_client import RequestRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.models import Job
    from tasks.cost_tracker import CostTracker
    from tasks.pictures.asset_import import ImportedAsset
    from tasks.pictures.stock_apis import Orientation

log = logging.getLogger(__name__)

MAX_IMAGE_BYTES = 48 * 1024 * 1024


@lru_cache(maxsize=1)
def image_servers() -> tuple[ImageServer, ...]:
    """Return the configured image servers in order. Their state (sizes, circuit breaker) lasts as long as the process."""
    return tuple(ImageServer(model) for model in settings().images_endpoints())


@dataclass(frozen=True, slots=True)
class ImageGenerator:
    """Generates the pictures of one attempt. `refresh` ignores the cache."""

    job: Job
    cost_tracker: CostTracker
    servers: Sequence[ImageServer]
    stop: Callable[[], bool]
    refresh: bool = False

    def generate(self, prompt: str, shape: Orientation, number: int = 0) -> ImportedAsset:
        """Return a picture of the prompt; `number` distinguishes several pictures of one prompt.

        Raise AssetUnreadable where no server makes one, and Unavailable where one may later.
        """
        failures: list[AssetUnreadable | Unavailable] = []
        for server in self.servers:
            try:
                return self._generate_once(server, prompt, shape, number)
            except RequestRefused as error:
                log.warning("images_refused", extra={"model": server.model.model, "status": error.status})
                failures.append(AssetUnreadable("The image server refused to make it."))
            except UnsupportedMedia:
                failures.append(AssetUnreadable("The image server made no picture that we take."))
            except (AssetUnreadable, Unavailable) as error:
                failures.append(error)
        later = [each for each in failures if isinstance(each, Unavailable)]
        if later:
            raise min(later, key=lambda error: error.retry_after or 0.0)
        raise (failures[0] if failures else AssetUnreadable("No image server is configured."))

    def _generate_once(
        self, server: ImageServer, prompt: str, shape: Orientation, number: int
    ) -> ImportedAsset:
        asked = [server.model.base_url, server.model.model, prompt, shape, number]
        question = response_cache.cache_key("image", self.job.account_id, asked)

        def make() -> dict[str, Any]:
            with self.cost_tracker.reserve(UsageKind.IMAGES, 1):
                generated = server.generate(prompt, shape, stop=self.stop)
            if generated.content is not None:
                asset = asset_import.import_bytes(self.job, generated.content, prompt)
            else:
                asset = asset_import.import_url(
                    self.job, generated.url or "", max_bytes=MAX_IMAGE_BYTES, stop=self.stop, name=prompt
                )
            return {"asset_id": str(asset.asset_id)}

        return cached_asset(self.job, question, make, refresh=self.refresh, stop=self.stop)


def cached_asset(
    job: Job, question: str, make: Callable[[], dict[str, Any]], *, refresh: bool, stop: Callable[[], bool]
) -> ImportedAsset:
    """Return the asset that `make` made for this question before, or have it made where it is gone."""
    ttl = settings().cache_ttl.total_seconds()
    for again in (refresh, True):
        answer = response_cache.get_or_compute(question, make, ttl=ttl, refresh=again, stop=stop)
        if asset := asset_import.reuse_asset(job, uuid.UUID(answer.value["asset_id"])):
            return asset
    raise AssetUnavailable("A picture was deleted while the job needed it.")
