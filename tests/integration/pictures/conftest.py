"""A process of an installation, the stock providers and an image server on loopback, and jobs that want pictures."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from shared.db import transaction
from shared.script.values import Scene, StockKind, Visual
from shared.settings import LanguageModel, settings
from tasks.cost_tracker import CostTracker
from tasks.pictures.generation import ImageGenerator
from tasks.pictures.image_server import ImageServer
from tasks.pictures.stock_apis import Pexels, Pixabay
from tasks.pictures.stock_search import StockProvider, StockSearch, parse_stock_kinds
from tasks.providers import response_cache
from tasks.providers.http_client import Provider, ProviderConfig
from tasks.video.plan.visuals import ResolvedVisuals, VisualResolver
from tests import factories
from tests.loopback.images import LoopbackImages
from tests.loopback.stock import LoopbackFiles, LoopbackStock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shared.models import Job
    from shared.settings import Settings

GRADIENT = Visual("gradient", colors=("#000000", "#ffffff"))


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(
    authority: trustme.CA, process: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LoopbackFiles]:
    """Give the https server of the providers' files, which this process trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    pem = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(pem)
    monkeypatch.setenv("SCENEMILL_CA_FILE", str(pem))
    settings.cache_clear()
    response_cache.connection.cache_clear()
    with LoopbackFiles(context) as server:
        yield server
    response_cache.connection().close()
    response_cache.connection.cache_clear()


@pytest.fixture
def stock(files: LoopbackFiles) -> Iterator[LoopbackStock]:
    with LoopbackStock(files) as server:
        yield server


@pytest.fixture
def images(files: LoopbackFiles) -> Iterator[LoopbackImages]:
    with LoopbackImages(files) as server:
        yield server


def new_job(**columns: Any) -> Job:
    with transaction() as session:
        return factories.job(session, **{"attempt": 1, **columns})


@dataclass
class Director:
    """Shows scenes of one account's jobs, as a worker's process that remembers what it learnt."""

    stocks: list[StockProvider]
    painters: list[ImageServer]
    job: Job = field(default_factory=new_job)
    size: tuple[int, int] = (1280, 720)
    kinds: str = "photos, clips"

    def show(self, *visuals: Visual, job: Job | None = None, fresh: bool = False) -> ResolvedVisuals:
        job = job or self.job
        scenes = tuple(Scene(f"s{index}", visual=visual) for index, visual in enumerate(visuals))
        search = StockSearch(
            job.account_id, self.size, self.stocks, parse_stock_kinds(self.kinds), lambda: False, fresh
        )
        drawing = ImageGenerator(job, CostTracker(job), self.painters, lambda: False, fresh)
        return VisualResolver(job, {}, search, drawing).resolve(scenes)


@pytest.fixture
def director(stock: LoopbackStock, images: LoopbackImages) -> Director:
    return Director([pexels(stock), pixabay(stock)], [painter(images)])


def pexels(stock: LoopbackStock, read: float = 20.0) -> StockProvider:
    return StockProvider(Pexels(), provider("Pexels", stock.root, {"Authorization": "pex-key"}, read))


def pixabay(stock: LoopbackStock) -> StockProvider:
    return StockProvider(Pixabay("bay-key"), provider("Pixabay", f"{stock.root}/api"))


def painter(images: LoopbackImages, read: float = 20.0) -> ImageServer:
    address = provider("The image server", images.base_url, {"Authorization": "Bearer sk-test"}, read)
    return ImageServer(LanguageModel(images.base_url, "gpt-image-1", "sk-test"), provider=address)


def provider(name: str, base_url: str, headers: dict[str, str] | None = None, read: float = 20.0) -> Provider:
    address = ProviderConfig(name, base_url, headers or {}, read=read, deadline=2 * read)
    return Provider(address, sleep=lambda _: None)


def looking_for(query: str, fallback: Visual | None = None, kind: StockKind | None = None) -> Visual:
    return Visual("stock", query=query, kind=kind, motion="zoom_in", fallback=fallback)


def drawn(prompt: str, fallback: Visual | None = None) -> Visual:
    return Visual("generated", prompt=prompt, motion="zoom_in", fallback=fallback)
