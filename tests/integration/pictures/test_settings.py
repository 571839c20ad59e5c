"""What the settings name is what is asked, with its key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from shared.settings import settings
from tasks.attempt import Attempt
from tasks.pictures.generation import image_servers
from tasks.pictures.stock_search import parse_stock_kinds, stock_providers
from tasks.script import write_task as script
from tasks.speech.engines import speech_engines
from tests.integration.pictures.conftest import Director, drawn, looking_for, new_job
from tests.loopback.llm import LoopbackModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.loopback.images import LoopbackImages
    from tests.loopback.stock import LoopbackStock

pytestmark = pytest.mark.services


@pytest.fixture
def named(stock: LoopbackStock, images: LoopbackImages, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    values = {
        "PEXELS_API_KEY": "pex-key",
        "PEXELS_BASE_URL": stock.root,
        "PIXABAY_API_KEY": "bay-key",
        "PIXABAY_BASE_URL": f"{stock.root}/api/",
        "IMAGES_BASE_URL": f"http://127.0.0.1:1/v1, {images.base_url}",
        "IMAGES_API_KEY": "sk-one, sk-two",
        "SPEECH_BASE_URL": images.base_url,
        "SPEECH_API_KEY": "sk-speech",
        "SPEECH_VOICES": "nova",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"SCENEMILL_{name}", value)
    for cached in (settings, stock_providers, image_servers, speech_engines):
        cached.cache_clear()
    yield
    for cached in (settings, stock_providers, image_servers, speech_engines):
        cached.cache_clear()


def test_every_provider_that_has_a_key_is_asked_with_it(named, stock):
    stock.photos = 1

    shown = Director(list(stock_providers()), []).show(looking_for("sea"), looking_for("sea"))

    assert [each["provider"] for each in shown.credits] == ["Pexels", "Pixabay"]


def test_endpoints_are_tried_in_order_with_their_own_keys(named, images):
    shown = Director([], list(image_servers())).show(drawn("sea"))

    assert shown.scenes[0].visual.type == "image"
    assert images.requests[0].headers["authorization"] == "Bearer sk-two"


def test_engines_are_tried_in_order_with_the_embedded_one_last(named):
    assert [each.name for each in speech_engines()] == ["openai:gpt-4o-mini-tts", "espeak-ng"]


def test_no_key_is_in_a_repr_that_a_log_may_print(named):
    shown = repr(
        [
            [each.provider.config for each in stock_providers()],
            [each.model for each in image_servers()],
            settings(),
        ]
    )

    assert not any(key in shown for key in ("pex-key", "bay-key", "sk-one", "sk-two", "sk-speech"))


def test_stock_kinds_are_parsed_in_order_and_unknown_ones_ignored():
    assert parse_stock_kinds("clips, photos,paintings") == ("clips", "photos")


@pytest.mark.parametrize("asks", [True, False])
def test_a_model_may_ask_for_pictures_if_a_stock_provider_is_configured(named, monkeypatch, tmp_path, asks):
    if not asks:
        for name in ("PEXELS", "PIXABAY"):
            monkeypatch.delenv(f"SCENEMILL_{name}_API_KEY")
    with LoopbackModel() as model:
        monkeypatch.setenv("SCENEMILL_LLM_BASE_URL", model.base_url)
        monkeypatch.setenv("SCENEMILL_LLM_MODEL", "tiny")
        for cached in (settings, stock_providers, script.model_endpoints):
            cached.cache_clear()
        job = new_job(kind="script", spec={"kind": "script", "brief": {"topic": "Reefs", "scenes": 2}})

        script.write_job_script(Attempt(job, tmp_path))

    script.model_endpoints.cache_clear()
    assert ("query" in json.dumps(model.requests[0].body["response_format"])) is asks
