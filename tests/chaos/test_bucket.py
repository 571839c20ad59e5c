"""F15: S3 that fails in every way while jobs store their files there. Each test ends with all invariants, as elsewhere."""

from __future__ import annotations

import contextlib
import hashlib
import io
import tempfile
import threading
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.chaos import faults, invariants, load
from tests.chaos.world import World
from tests.loopback.s3 import S3

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.loopback.s3 import Fault

pytestmark = [pytest.mark.e2e, pytest.mark.services, pytest.mark.timeout(240)]

FAULTS: list[Fault] = ["500", "503", "hang", "reset", "412", "lost"]


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with S3() as server:
        yield server


@pytest.fixture(scope="module")
def _world(s3: S3, seed: int) -> Iterator[World]:
    settings = {"SCENEMILL_S3_TIMEOUT": "1.5"}
    with (
        tempfile.TemporaryDirectory(prefix="scenemill-chaos-") as folder,
        World(Path(folder).resolve(), seed, settings, s3=s3) as one,
    ):
        yield one


@pytest.fixture
def world(_world: World, s3: S3) -> Iterator[World]:
    hits = len(_world.hits)
    yield _world
    s3.well()
    assert len(_world.hits) > hits, "the test did not say that its fault hit"
    invariants.assert_all(_world)


def writes(method: str, _: str) -> bool:
    return method in ("PUT", "POST")


def sound(mebibytes: int) -> bytes:
    """Return a recording so long that it is sent in parts."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes(bytes(mebibytes * 1024**2))
    return target.getvalue()


def test_a_job_goes_from_its_picture_to_its_download_over_a_failing_bucket(world: World, s3: S3) -> None:
    uploaded = world.call("POST", "/v1/assets", content=sound(9))
    assert uploaded.status_code == 201, uploaded.text
    script = {
        "music": {"src": f"asset:{uploaded.json()['asset_id']}"},
        "scenes": [{"narration": f"Stored far away, {number} times."} for number in (1, 2)],
    }
    for kind in FAULTS:
        s3.fail(kind, writes)

    job = {"kind": "video", "script": script, "output": {**load.SMALL, "sidecars": ["srt", "poster"]}}
    task_id = world.post(job, hook=True)

    assert world.end(task_id, 90) == "succeeded"
    assert {kind: s3.failed[kind] for kind in FAULTS} == dict.fromkeys(FAULTS, 1)
    world.hit("F15 every kind once", str(dict(s3.failed)))
    task = world.call("GET", f"/v1/tasks/{task_id}").json()
    video = next(one for one in task["result"]["artifacts"] if one["name"] == "video.mp4")
    path = httpx.URL(video["url"]).path
    whole = world.call("GET", path)
    part = world.call("GET", path, headers={"Range": "bytes=100-199"})
    same = world.call("GET", path, headers={"If-None-Match": whole.headers["ETag"]})
    assert hashlib.sha256(whole.content).hexdigest() == video["sha256"]
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    assert same.status_code == 304


def test_an_edited_script_reuses_the_other_segments_from_the_bucket(world: World, s3: S3) -> None:
    job = load.video(world.rng, scenes=2)
    world.end(world.post(job))
    s3.fail("lost", writes)
    edited = {**job, "script": {**job["script"], "title": "Again"}}

    task_id = world.post(edited, hook=True)

    assert world.end(task_id) == "succeeded"
    world.hit("F15 an answer lost", f"{s3.failed['lost']} in all")
    usage = world.state(task_id).result["usage"]
    assert (usage["cached_segments"], usage["rendered_segments"]) == (2, 0)


@pytest.mark.chaos
@pytest.mark.parametrize("kind", FAULTS)
def test_all_invariants_hold_under_load(world: World, s3: S3, kind: Fault) -> None:
    before = s3.failed[kind]
    s3.fail(kind, writes, times=8)

    tasks = world.flood(8)

    assert world.ends([*tasks, world.post(load.video(world.rng, scenes=2))], 120) == ["succeeded"] * 9
    assert s3.failed[kind] > before
    world.hit(f"F15 writes: {kind}", f"{s3.failed[kind] - before} times")


@pytest.mark.chaos
@pytest.mark.parametrize("kind", ["500", "hang", "reset", "lost"])
def test_failing_reads_are_retried(world: World, s3: S3, kind: Fault) -> None:
    job = load.video(world.rng, scenes=2)
    assert world.end(world.post(job)) == "succeeded"
    for copy in (world.stack.folder / "cache").rglob("*.mp4"):
        copy.unlink()  # what the machine has itself it does not ask for
    before = s3.failed[kind]
    s3.fail(kind, lambda method, _: method in ("GET", "HEAD"), times=3)

    edited = {**job, "script": {**job["script"], "title": "Again"}}
    tasks = [world.post(edited, hook=True), world.post(edited, hook=True)]

    assert world.ends(tasks, 120) == ["succeeded"] * 2
    assert s3.failed[kind] - before == 3
    world.hit(f"F15 reads: {kind}", "three of them")


@pytest.mark.chaos
def test_another_machine_has_all_it_needs_from_the_bucket(world: World, s3: S3) -> None:
    kinds: list[Fault] = ["500", "hang", "reset", "lost"]
    job = load.video(world.rng, scenes=3)
    world.end(world.post(job))
    edited = {**job, "script": {**job["script"], "title": "Again"}}
    elsewhere = world.stack.folder / "elsewhere"
    own = {
        "SCENEMILL_STORAGE_CACHE_DIR": str(elsewhere / "cache"),
        "SCENEMILL_WORK_DIR": str(elsewhere / "work"),
    }
    before = dict(s3.failed)

    with world.stopped("worker-renders"), world.worker("renders", **own):
        for kind in kinds:
            s3.fail(kind, lambda method, target: method == "GET" and "/segments/" in target)
        task_id = world.post(edited, hook=True)

        assert world.end(task_id) == "succeeded"
    assert {kind: s3.failed[kind] - before.get(kind, 0) for kind in kinds} == dict.fromkeys(kinds, 1)
    usage = world.state(task_id).result["usage"]
    assert (usage["cached_segments"], usage["rendered_segments"]) == (3, 0)
    world.hit("F15 reads of another machine", "each kind once")


@pytest.mark.chaos
def test_a_job_waits_for_a_bucket_that_is_away_for_longer_than_an_attempt(world: World, s3: S3) -> None:
    before = s3.failed["503"]
    s3.fail("503", times=10_000)
    tasks = [world.post(load.video(world.rng), hook=True) for _ in range(2)]
    world.wait(
        lambda: any("segment" in line for line in world.logged("attempt_unavailable")),
        "an attempt at a segment to be given up",
        60,
    )
    world.hit("F15 away", f"{s3.failed['503'] - before} requests")
    assert world.call("GET", "/readyz").status_code == 503

    s3.well()

    assert world.ends(tasks, 120) == ["succeeded"] * 2


@pytest.mark.chaos
def test_a_process_killed_while_it_sends_parts_leaves_nothing_for_good(world: World, s3: S3) -> None:
    s3.fail("hang", lambda _, target: "partNumber=2" in target)
    hung = s3.failed["hang"]

    def upload() -> None:
        with contextlib.suppress(httpx.HTTPError):
            world.call("POST", "/v1/assets", content=sound(17))

    client = threading.Thread(target=upload)
    client.start()
    world.wait(lambda: s3.failed["hang"] > hung, "the second part")
    for one in world.whole("api"):
        one.kill()
    client.join()

    assert len(s3.uploads) == 1
    world.hit("F15 killed while it sends parts", "one upload was left behind")


@pytest.mark.chaos
def test_a_worker_killed_between_its_file_and_its_row_leaves_no_file(world: World, s3: S3) -> None:
    with faults.taken_back(world, "F15 worker killed while it stores"):
        s3.fail("hang", lambda method, target: method == "PUT" and "/segments/" in target)
        hung = s3.failed["hang"]
        task_id = world.post(load.video(world.rng), hook=True)
        world.wait(lambda: s3.failed["hang"] > hung, "a segment to be stored", 60)
        for one in world.whole("worker-renders"):
            one.kill()

    assert world.end(task_id, 90) == "succeeded"
