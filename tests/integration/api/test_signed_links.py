"""A signed link opens one task's artifact without a key, until it expires or the task is deleted."""

from __future__ import annotations

import time
import uuid
from urllib.parse import urlsplit

import pytest

from api.tasks import signed_links
from shared.db import transaction
from shared.models import Account, Job
from tests.integration.api.test_tasks import finish

pytestmark = pytest.mark.services

SCRIPT = {"scenes": [{"duration": 1}]}


def finished(client, stored, **members):
    task_id = client.job({"kind": "video", "script": SCRIPT, **members})
    finish(client, task_id, stored)
    return task_id


def link_of(client, task_id, query="?links=signed"):
    (artifact,) = client.get(f"/v1/tasks/{task_id}{query}").json["result"]["artifacts"]
    return artifact.get("signed_url")


def path_of(link):
    return urlsplit(link).path


def test_a_link_needs_no_key_and_supports_ranges(app, client, stored):
    task_id = finished(client, stored)
    anyone = app.test_client()

    link = link_of(client, task_id)
    with (
        anyone.get(path_of(link)) as whole,
        anyone.get(path_of(link), headers={"Range": "bytes=2-4"}) as part,
    ):
        contents = whole.data, part.data

    assert link.startswith("http://localhost/v1/links/")
    assert whole.status_code == 200
    assert part.status_code == 206
    assert contents[1] == contents[0][2:5]
    assert whole.headers["Access-Control-Allow-Origin"] == "*"


def test_links_are_given_only_if_they_are_asked_for(client, stored):
    assert link_of(client, finished(client, stored), query="") is None


def test_a_list_of_tasks_has_links_too(client, stored):
    task_id = finished(client, stored)

    tasks = client.get("/v1/tasks?links=signed").json["data"]

    (found,) = [task for task in tasks if task["task_id"] == task_id]
    assert "/v1/links/" in found["result"]["artifacts"][0]["signed_url"]


def test_a_job_may_ask_for_links_itself(client, stored):
    task_id = finished(client, stored, links={"expires_in": 600})

    link = link_of(client, task_id, query="")

    expires = int(path_of(link).split("/")[4])
    assert 600 <= expires - time.time() <= 600 + signed_links.ROUNDING


@pytest.mark.parametrize("part", [3, 4, 5, 6], ids=["task", "expiry", "signature", "name"])
def test_a_changed_link_opens_nothing(app, client, stored, part):
    parts = path_of(link_of(client, finished(client, stored))).split("/")
    other = path_of(link_of(client, finished(client, stored))).split("/")
    parts[part] = {3: other[3], 4: str(int(parts[4]) + 3600), 5: "0" * 64, 6: "poster.jpg"}[part]

    answer = app.test_client().get("/".join(parts))

    assert answer.status_code == 404
    assert answer.json["status"] == 404


def test_an_expired_link_opens_nothing(app, client, stored):
    task_id = finished(client, stored)
    with transaction() as session:
        job = session.get(Job, uuid.UUID(task_id))
        secret = session.get(Account, job.account_id).link_secret
        expires = int(time.time()) - 1
        signature = signed_links.compute_signature(secret, job.id, expires, "video.mp4")

    assert app.test_client().get(f"/v1/links/{task_id}/{expires}/{signature}/video.mp4").status_code == 404


def test_a_deleted_task_ends_its_links(app, client, stored):
    task_id = finished(client, stored)
    link = path_of(link_of(client, task_id))

    client.delete(f"/v1/tasks/{task_id}")

    assert app.test_client().get(link).status_code == 404


def test_the_files_of_a_playlist_share_its_signature(client, stored):
    task_id = finished(client, stored)
    with transaction() as session:
        job = session.get(Job, uuid.UUID(task_id))
        names = ("hls/master.m3u8", "hls/0001.m4s", "video.mp4", "hls")
        found = {name: signed_links.compute_signature("s", job.id, 1, name) for name in names}

    assert found["hls/master.m3u8"] == found["hls/0001.m4s"]
    assert len(set(found.values())) == 3


def test_two_answers_within_an_hour_have_the_same_links(client, stored):
    task_id = finished(client, stored)

    assert link_of(client, task_id) == link_of(client, task_id)


@pytest.mark.parametrize("script", [{"scenes": [{"narration": "Hello."}]}, {"scenes": []}])
def test_a_dry_run_has_a_route_of_its_own(client, script):
    body = {"kind": "video", "script": script}

    own = client.post("/v1/dry-runs", json=body)

    assert own.status_code == 200
    assert own.json == client.post("/v1/jobs?dry_run=true", json=body).json
    assert own.json["valid"] is bool(script["scenes"])


def test_each_operation_has_an_id_of_its_own(app):
    paths = app.extensions["openapi"].to_dict()["paths"]

    ids = [
        operation["operationId"]
        for item in paths.values()
        for operation in item.values()
        if isinstance(operation, dict) and "responses" in operation
    ]

    assert len(ids) > 50
    assert len(set(ids)) == len(ids)


def test_links_of_a_job_are_checked(client):
    body = {"kind": "video", "script": SCRIPT, "links": {"expires_in": 1}}

    assert client.post("/v1/jobs", json=body).json["errors"][0]["pointer"] == "#/links/expires_in"
