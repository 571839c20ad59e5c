"""Stock pictures and clips, from providers on loopback that answer as documented, and that fail."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from shared.db import transaction
from shared.errors import AssetUnreadable, Unavailable
from shared.models import Asset, JobAsset
from shared.storage.factory import storage
from tasks.providers.retry import MAX_CALLS
from tests.integration.pictures.conftest import GRADIENT, Director, looking_for, new_job, pexels
from tests.loopback import llm

pytestmark = pytest.mark.services

PHOTOS, CLIPS, BAY, BAY_CLIPS = "/v1/search", "/videos/search", "/api/", "/api/videos/"


def numbers(shown) -> list[str]:
    return [each["page"].rstrip("/").rpartition("/")[2] for each in shown.credits]


def test_a_query_becomes_a_picture_of_the_account_with_its_credit(director, stock):
    shown = director.show(looking_for("coral reef"))

    (scene,) = shown.scenes
    assert (scene.visual.type, scene.visual.motion, scene.visual.query) == ("image", "zoom_in", None)
    source = shown.sources[scene.visual.src]
    assert (source.media.width, source.media.height) == (1880, 1253)  # the smallest that fills 1280 x 720
    assert storage().locate(source.storage_key).is_file()
    asset_id = scene.visual.src.removeprefix("asset:")
    assert shown.credits == (
        {
            "scene": "s0", "provider": "Pexels", "author": "Ada 1",
            "author_url": "https://www.pexels.com/@ada1", "page": "https://www.pexels.com/photo/1/",
            "asset_id": asset_id,
        },
    )  # fmt: skip
    assert shown.warnings == ()
    with transaction() as session:
        asset = session.get(Asset, uuid.UUID(asset_id))
        assert asset.account_id == director.job.account_id
        assert session.get(JobAsset, (director.job.id, asset.id)) is not None


@pytest.mark.parametrize(
    ("size", "orientation"),
    [((1920, 1080), "landscape"), ((1080, 1920), "portrait"), ((720, 720), "square")],
)
def test_pictures_have_the_output_s_orientation_and_fill_it(director, stock, size, orientation):
    director.size = size

    shown = director.show(looking_for("tide"))

    (search,) = stock.asked(PHOTOS)
    assert search.query["orientation"] == orientation
    media = next(iter(shown.sources.values())).media
    assert (media.width >= size[0], media.height >= size[1]) == (True, True)


def test_no_picture_is_used_twice_while_another_is_available(director, stock):
    shown = director.show(*[looking_for("coral reef")] * 3)

    assert numbers(shown) == ["1", "2", "3"]
    assert len(stock.asked(PHOTOS)) == 1


def test_the_next_provider_is_searched_when_one_has_no_more_then_clips(director, stock):
    stock.photos, stock.clips = 1, 1

    shown = director.show(*[looking_for("coral reef")] * 5)

    assert [(each["provider"], number) for each, number in zip(shown.credits, numbers(shown), strict=True)] == [
        ("Pexels", "1"), ("Pixabay", "101"), ("Pexels", "1"), ("Pixabay", "101"), ("Pexels", "1"),
    ]  # fmt: skip
    assert [scene.visual.type for scene in shown.scenes] == ["image", "image", "video", "video", "image"]


def test_a_clip_is_shown_as_a_video_without_added_motion(director, stock):
    director.kinds = "clips"

    shown = director.show(looking_for("waves"))

    visual = shown.scenes[0].visual
    assert (visual.type, visual.motion) == ("video", "none")
    assert shown.sources[visual.src].media.width == 1280
    assert shown.credits[0]["author"] == "Grace"


def test_each_scene_says_whether_it_wants_a_photo_or_a_clip(director):
    shown = director.show(
        looking_for("reef", kind="clip"), looking_for("reef", kind="photo"), looking_for("reef")
    )

    assert [scene.visual.type for scene in shown.scenes] == ["video", "image", "image"]
    assert all(scene.visual.kind is None for scene in shown.scenes)


def test_a_requested_clip_is_not_replaced_by_a_photo(director, stock):
    stock.clips = 0

    with pytest.raises(AssetUnreadable):
        director.show(looking_for("reef", kind="clip"))

    assert {each.path for each in stock.requests} == {"/videos/search", "/api/videos/"}


def test_searches_and_files_are_reused(director, stock, files):
    director.show(looking_for("coral reef"))
    other = new_job(account_id=director.job.account_id)

    again = director.show(looking_for("coral reef"), job=other)

    assert (len(stock.requests), len(files.requests)) == (1, 1)
    with transaction() as session:
        held = session.scalars(select(JobAsset.asset_id).where(JobAsset.job_id == other.id)).all()
    assert [f"asset:{each}" for each in held] == [again.scenes[0].visual.src]


def test_a_deleted_picture_is_fetched_again(director, stock, files):
    shown = director.show(looking_for("coral reef"))
    with transaction() as session:
        row = session.get(Asset, uuid.UUID(shown.credits[0]["asset_id"]))
        session.delete(row)

    again = director.show(looking_for("coral reef"), job=new_job(account_id=director.job.account_id))

    assert len(files.requests) == 2
    assert again.scenes[0].visual.src != shown.scenes[0].visual.src


def test_no_cache_searches_again(director, stock):
    for fresh in (False, True):
        director.show(looking_for("coral reef"), fresh=fresh)

    assert len(stock.asked(PHOTOS)) == 2


def test_accounts_share_no_search(director, stock):
    director.show(looking_for("coral reef"))
    director.show(looking_for("coral reef"), job=new_job())

    assert len(stock.asked(PHOTOS)) == 2


def test_fifty_jobs_with_the_same_query_search_and_fetch_once(director, stock, files):
    jobs = [new_job(account_id=director.job.account_id) for _ in range(50)]

    with ThreadPoolExecutor(16) as pool:
        shown = list(pool.map(lambda job: director.show(looking_for("coral reef"), job=job), jobs))

    assert len({each.scenes[0].visual.src for each in shown}) == 1
    assert (len(stock.requests), len(files.requests)) == (1, 1)


@pytest.mark.parametrize(
    ("behaviour", "calls"),
    [
        pytest.param(llm.status(429, headers={"Retry-After": "3600"}), 1, id="429"),
        pytest.param(llm.status(500), MAX_CALLS, id="500"),
        pytest.param(llm.html(200), MAX_CALLS, id="HTML"),
        pytest.param(llm.resets, MAX_CALLS, id="reset"),
        pytest.param(llm.huge(50 * 1024 * 1024), MAX_CALLS, id="50 MB"),
        pytest.param(llm.status(401), 1, id="401"),
    ],
)
def test_the_next_provider_is_used_when_one_fails(director, stock, behaviour, calls):
    stock.then(*[behaviour] * calls)

    shown = director.show(looking_for("coral reef"))

    assert shown.credits[0]["provider"] == "Pixabay"
    assert len(stock.asked(PHOTOS)) == calls
    assert len(stock.asked(BAY)) == 1


def test_a_hanging_provider_is_replaced_by_the_next_one(director, stock):
    director.stocks[0] = pexels(stock, read=0.3)
    stock.then(*[llm.hangs(5)] * MAX_CALLS)

    shown = director.show(looking_for("coral reef"))

    assert shown.credits[0]["provider"] == "Pixabay"
    assert len(stock.asked(PHOTOS)) == MAX_CALLS


def test_a_job_waits_as_long_as_asked_when_all_providers_fail_for_now(director, stock):
    stock.always(llm.status(429, headers={"Retry-After": "900"}))

    with pytest.raises(Unavailable, match="s0") as caught:
        director.show(looking_for("coral reef"))

    assert caught.value.retry_after == 900


def test_a_fallback_is_shown_with_a_warning_when_all_providers_fail(director, stock):
    stock.always(llm.status(500))

    shown = director.show(looking_for("coral reef", fallback=GRADIENT), GRADIENT)

    assert [scene.visual for scene in shown.scenes] == [GRADIENT, GRADIENT]
    assert len(shown.warnings) == 1
    assert "'s0'" in shown.warnings[0]


def test_a_search_without_results_names_the_scene(director, stock):
    stock.photos = stock.clips = 0

    with pytest.raises(AssetUnreadable, match="'s1'"):
        director.show(looking_for("a", GRADIENT), looking_for("a"))

    assert [each.path for each in stock.requests] == [PHOTOS, BAY, CLIPS, BAY_CLIPS]


def test_without_a_key_the_fallback_is_shown_or_the_job_fails(director):
    nobody = Director([], [], job=director.job)

    shown = nobody.show(looking_for("coral reef", fallback=GRADIENT))

    assert shown.scenes[0].visual == GRADIENT
    assert "no stock provider is set up" in shown.warnings[0]
    with pytest.raises(AssetUnreadable, match=r"'s0'.*no stock provider is set up"):
        nobody.show(looking_for("coral reef"))


def test_a_rejected_key_is_reported_with_the_provider_s_name(director, stock):
    stock.always(llm.status(401))

    shown = director.show(looking_for("coral reef", fallback=GRADIENT))

    assert shown.warnings == ("Scene 's0' shows its fallback: Pexels and Pixabay refused the search.",)


def test_a_file_that_cannot_be_fetched_is_replaced_by_the_next_candidate(director, stock, files):
    files.then(llm.status(404))

    shown = director.show(looking_for("coral reef"))

    assert numbers(shown) == ["2"]


def test_a_file_that_is_no_picture_is_replaced_by_the_next_candidate(director, files):
    files.then(llm.html(200))

    assert numbers(director.show(looking_for("coral reef"))) == ["2"]


def test_files_that_cannot_be_fetched_are_tried_a_limited_number_of_times(director, files):
    files.always(llm.status(404))

    shown = director.show(looking_for("coral reef", fallback=GRADIENT))

    assert shown.scenes[0].visual == GRADIENT
    assert len(files.requests) == 3
    incoming = [path for path in storage().root.rglob("*") if path.is_file()]
    assert incoming == []  # nothing half fetched stays


def test_queries_are_searched_concurrently(director, stock):
    shown = director.show(*[looking_for(f"query {number}") for number in range(6)])

    assert sorted({each.query["query"] for each in stock.asked(PHOTOS)}) == [f"query {n}" for n in range(6)]
    assert len(shown.credits) == 6


def test_an_address_from_a_provider_passes_the_ssrf_guard(director, stock, files, monkeypatch):
    from shared.settings import settings  # noqa: PLC0415

    monkeypatch.setenv("SCENEMILL_ALLOW_PRIVATE_ADDRESSES", "false")
    settings.cache_clear()

    with pytest.raises(AssetUnreadable):
        Director([pexels(stock)], [], job=director.job).show(looking_for("coral reef"))

    assert files.requests == []
