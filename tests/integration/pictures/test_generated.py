"""Pictures drawn by an OpenAI-compatible server on loopback, and what becomes of scenes when it fails."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from shared.db import transaction
from shared.errors import AssetUnreadable, QuotaExceeded, Unavailable
from shared.models import Usage
from shared.settings import settings
from tasks.providers.retry import MAX_CALLS
from tests.integration.pictures.conftest import (
    GRADIENT,
    Director,
    drawn,
    looking_for,
    new_job,
    painter,
)
from tests.loopback import llm
from tests.loopback.images import LoopbackImages
from tests.loopback.server import says

pytestmark = pytest.mark.services

PATH = "/v1/images/generations"


def spent(*jobs) -> float:
    with transaction() as session:
        return session.scalar(
            select(func.coalesce(func.sum(Usage.amount), 0)).where(
                Usage.kind == "images", Usage.job_id.in_([job.id for job in jobs])
            )
        )


@pytest.mark.parametrize(
    ("size", "asked"),
    [((1920, 1080), "1536x1024"), ((1080, 1920), "1024x1536"), ((720, 720), "1024x1024")],
)
@pytest.mark.parametrize("form", ["b64_json", "url"])
def test_a_prompt_becomes_a_picture_of_the_account(director, images, size, asked, form):
    director.size, images.form = size, form

    shown = director.show(drawn("a reef at dawn"))

    visual = shown.scenes[0].visual
    assert (visual.type, visual.motion, visual.prompt) == ("image", "zoom_in", None)
    media = shown.sources[visual.src].media
    assert f"{media.width}x{media.height}" == asked
    (request,) = images.requests
    assert request.headers["authorization"] == "Bearer sk-test"
    assert request.body == {
        "model": "gpt-image-1", "prompt": "a reef at dawn", "n": 1, "size": asked, "response_format": "b64_json",
    }  # fmt: skip
    assert spent(director.job) == 1


def test_rejected_parameters_are_not_sent_again(director, images):
    images.knows_format, images.sizes = False, {"1792x1024", "1024x1024"}

    director.show(drawn("one"))
    director.show(drawn("two"))

    sizes = [each.body["size"] for each in images.requests]
    assert sizes == ["1536x1024", "1536x1024", "1792x1024", "1792x1024"]
    assert ["response_format" in each.body for each in images.requests] == [True, False, False, False]


def test_the_same_prompt_is_generated_once_for_an_account(director, images):
    director.show(drawn("a reef"))
    director.show(drawn("a reef"), job=new_job(account_id=director.job.account_id))
    director.show(drawn("a reef"), job=new_job())

    assert len(images.requests) == 2


def test_two_scenes_of_one_prompt_show_two_pictures(director, images):
    shown = director.show(drawn("a reef"), drawn("a reef"))
    again = director.show(drawn("a reef"), drawn("a reef"))

    assert len(images.requests) == 2
    assert shown.scenes[0].visual.src != shown.scenes[1].visual.src
    assert [scene.visual for scene in shown.scenes] == [scene.visual for scene in again.scenes]


def test_fifty_jobs_of_one_prompt_make_one_call(director, images):
    jobs = [new_job(account_id=director.job.account_id) for _ in range(50)]
    gate = threading.Event()

    def slowly(handler, asked):
        gate.wait(10)
        images.serve(handler, asked)

    images.then(slowly)
    with ThreadPoolExecutor(16) as pool:
        running = [pool.submit(director.show, drawn("a reef"), job=job) for job in jobs]
        gate.set()
        shown = [each.result(60) for each in running]

    assert len(images.requests) == 1
    assert len({each.scenes[0].visual.src for each in shown}) == 1
    assert spent(*jobs) == 1


def test_no_cache_generates_again(director, images):
    for fresh in (False, True):
        director.show(drawn("a reef"), fresh=fresh)

    assert len(images.requests) == 2


@pytest.mark.parametrize(
    ("behaviour", "calls"),
    [
        pytest.param(llm.status(429, headers={"Retry-After": "900"}), 1, id="429"),
        pytest.param(llm.status(503), MAX_CALLS, id="503"),
        pytest.param(llm.html(200), MAX_CALLS, id="HTML"),
        pytest.param(llm.resets, MAX_CALLS, id="reset"),
        pytest.param(says({"data": []}), MAX_CALLS, id="no picture"),
        pytest.param(says({"data": [{"b64_json": "PGh0bWw+"}]}), MAX_CALLS, id="a page as a picture"),
        pytest.param(llm.status(400, error="content_policy_violation"), 1, id="content policy"),
        pytest.param(llm.status(429, kind="insufficient_quota"), 1, id="no credit"),
        pytest.param(llm.status(404, error="no such model"), 1, id="no model"),
    ],
)
def test_a_failed_generation_shows_the_fallback_and_costs_nothing(director, images, behaviour, calls):
    images.always(behaviour)

    shown = director.show(drawn("a reef", fallback=GRADIENT))

    assert shown.scenes[0].visual == GRADIENT
    assert "'s0'" in shown.warnings[0]
    assert len(images.requests) == calls
    assert spent(director.job) == 0


def test_a_hanging_image_server_is_abandoned_in_time(director, images):
    director.painters[0] = painter(images, read=0.3)
    images.always(llm.hangs_in_the_body(5))

    shown = director.show(drawn("a reef", fallback=GRADIENT))

    assert shown.scenes[0].visual == GRADIENT
    assert len(images.requests) == MAX_CALLS


def test_without_a_fallback_the_job_waits_or_fails_with_the_scene(director, images):
    images.then(llm.status(429, headers={"Retry-After": "900"}), llm.status(401))

    with pytest.raises(Unavailable, match="'s0'") as caught:
        director.show(drawn("a reef"))
    with pytest.raises(AssetUnreadable, match="'s0'"):
        director.show(drawn("a reef"))

    assert caught.value.retry_after == 900


def test_a_chain_of_fallbacks_ends_at_the_first_available_visual(director, images, stock):
    images.always(llm.status(401))

    shown = director.show(drawn("a reef", fallback=looking_for("coral", fallback=GRADIENT)))

    assert shown.scenes[0].visual.type == "image"
    assert shown.credits[0]["provider"] == "Pexels"
    assert len(shown.warnings) == 1


def test_the_next_image_server_is_used_when_one_fails(director, images):
    with LoopbackImages() as broken:
        broken.always(llm.status(500))
        two = Director([], [painter(broken), painter(images)], job=director.job)

        shown = two.show(drawn("a reef"))

    assert shown.scenes[0].visual.type == "image"
    assert len(images.requests) == 1


def test_without_a_server_the_fallback_is_shown(director):
    nobody = Director([], [], job=director.job)

    shown = nobody.show(drawn("a reef", fallback=GRADIENT))

    assert shown.warnings == ("Scene 's0' shows its fallback: no image server is configured.",)
    with pytest.raises(AssetUnreadable, match="no image server is configured"):
        nobody.show(drawn("a reef"))


def test_a_budget_stops_before_the_picture_that_would_break_it(director, images, monkeypatch):
    monkeypatch.setenv("SCENEMILL_PRICE_IMAGES", "1")
    settings.cache_clear()
    job = new_job(spec={"kind": "video", "budget": 2})

    with pytest.raises(QuotaExceeded):
        director.show(*[drawn(f"reef {number}", fallback=GRADIENT) for number in range(5)], job=job)

    assert len(images.requests) == 2
    assert spent(job) == 2
