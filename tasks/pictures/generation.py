"""Has pictures drawn, each once for an account: by the first of the image servers that can."""

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
from tasks.pictures.images_server import ImagesServer
from tasks.providers import response_cache
from tasks.providers.http_client import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.models import Job
    from tasks.cost_tracker import Purse
    from tasks.pictures.asset_import import Kept
    from tasks.pictures.stock import Shape

log = logging.getLogger(__name__)

MOST_BYTES = 48 * 1024 * 1024


@lru_cache(maxsize=1)
def painters() -> tuple[ImagesServer, ...]:
    """Return the image servers that the settings name, in order; what is learnt of each lasts as long as the process."""
    return tuple(ImagesServer(model) for model in settings().images_endpoints())


@dataclass(frozen=True, slots=True)
class Drawing:
    """What one attempt has drawn for it. `fresh` takes nothing that was drawn before."""

    job: Job
    purse: Purse
    among: Sequence[ImagesServer]
    stop: Callable[[], bool]
    fresh: bool = False

    def draw(self, prompt: str, shape: Shape, number: int = 0) -> Kept:
        """Return a picture of the prompt; `number` tells several of one prompt apart.

        Raise AssetUnreadable where there is none to be had, and Unavailable where there may be later.
        """
        failures: list[AssetUnreadable | Unavailable] = []
        for server in self.among:
            try:
                return self._once(server, prompt, shape, number)
            except Refused as error:
                log.warning("images_refused", extra={"model": server.model.model, "status": error.status})
                failures.append(AssetUnreadable("The image server refused to make it."))
            except UnsupportedMedia:
                failures.append(AssetUnreadable("The image server made no picture that we take."))
            except (AssetUnreadable, Unavailable) as error:
                failures.append(error)
        later = [each for each in failures if isinstance(each, Unavailable)]
        if later:
            raise min(later, key=lambda error: error.retry_after or 0.0)
        raise failures[0] if failures else AssetUnreadable("No image server is set up.")

    def _once(self, server: ImagesServer, prompt: str, shape: Shape, number: int) -> Kept:
        asked = [server.model.base_url, server.model.model, prompt, shape, number]
        question = response_cache.question("image", self.job.account_id, asked)

        def make() -> dict[str, Any]:
            with self.purse.paying(UsageKind.IMAGES, 1):
                drawn = server.draw(prompt, shape, stop=self.stop)
            if drawn.content is not None:
                kept = asset_import.take(self.job, drawn.content, prompt)
            else:
                kept = asset_import.fetch(
                    self.job, drawn.url or "", most=MOST_BYTES, stop=self.stop, name=prompt
                )
            return {"asset_id": str(kept.asset_id)}

        return remembered(self.job, question, make, fresh=self.fresh, stop=self.stop)


def remembered(
    job: Job, question: str, make: Callable[[], dict[str, Any]], *, fresh: bool, stop: Callable[[], bool]
) -> Kept:
    """Return the asset that answers a question; one that was deleted since is made again."""
    ttl = settings().cache_ttl.total_seconds()
    for again in (fresh, True):
        answer = response_cache.once(question, make, ttl=ttl, fresh=again, stop=stop)
        if kept := asset_import.again(job, uuid.UUID(answer.value["asset_id"])):
            return kept
    raise AssetUnavailable("A picture was deleted while it was wanted.")
