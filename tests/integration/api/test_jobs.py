"""POST /v1/jobs."""

from __future__ import annotations

import io
import threading
import uuid
import wave
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis
from sqlalchemy import select, update

from api.app import create_app
from shared.db import transaction
from shared.models import AuditEvent, IdempotencyKey, Job, JobAsset
from shared.states import State
from tests.integration.api.conftest import HELLO, jobs_of, new_client

if TYPE_CHECKING:
    from shared.settings import Settings
    from tests.integration.api.conftest import Client

pytestmark = pytest.mark.services


def script_task(client: Client, state: State = State.SUCCEEDED, **result: Any) -> str:
    task_id = client.job({"kind": "script", "brief": {"topic": "Tides"}})
    document = {"script": {"scenes": [{"id": "written", "narration": "Tides rise."}]}, **result}
    with transaction() as session:
        values = {"state": state, "result": document if state == State.SUCCEEDED else None}
        session.execute(update(Job).where(Job.id == uuid.UUID(task_id)).values(**values))
    return task_id


def test_an_accepted_job_returns_its_task_and_location(client: Client) -> None:
    answer = client.post("/v1/jobs", json={**HELLO, "metadata": {"a": "b"}, "custom_id": "mine"})

    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/tasks/{answer.json['task_id']}"
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json["status"] == "queued"
    assert answer.json["metadata"] == {"a": "b"}
    assert answer.json["custom_id"] == "mine"
    assert [scene["id"] for scene in answer.json["scenes"]] == ["hello"]
    assert client.get(answer.headers["Location"]).json == answer.json


def test_a_job_is_stored_with_its_audit_event_and_published_afterwards(
    client: Client, redis_url: str
) -> None:
    client.post("/v1/jobs", json=HELLO, headers={"X-Request-ID": "ask-1"})

    (job,) = jobs_of(client)
    with transaction() as session:
        (event,) = session.scalars(select(AuditEvent).where(AuditEvent.account_id == client.account_id))
    assert (event.action, event.subject, event.request_id) == ("jobs.submitted", str(job.id), "ask-1")
    assert job.request_id == "ask-1"
    assert wait_for_message(redis_url, str(job.id))


def wait_for_message(redis_url: str, task_id: str) -> bool:
    with Redis.from_url(redis_url) as redis:
        for _ in range(100):
            messages = redis.lrange("scenemill:renders", 0, -1)
            if any(task_id.encode() in message for message in messages):
                return True
            threading.Event().wait(0.05)
    return False


@pytest.mark.parametrize(
    ("job", "kind"),
    [
        pytest.param({"kind": "script", "brief": {"topic": "Tides"}}, "script", id="script by topic"),
        pytest.param({"kind": "script", "brief": {"source_text": "Long."}}, "script", id="script by text"),
        pytest.param({"kind": "video", "brief": {"topic": "Tides"}}, "video", id="video by brief"),
    ],
)
def test_a_brief_is_accepted(client: Client, job: dict[str, Any], kind: str) -> None:
    assert client.post("/v1/jobs", json=job).json["kind"] == kind


def test_a_video_uses_the_script_of_a_script_task(client: Client) -> None:
    task_id = script_task(client)

    answer = client.post("/v1/jobs", json={"kind": "video", "script_task_id": task_id})

    assert [scene["id"] for scene in answer.json["scenes"]] == ["written"]
    spec = next(job.spec for job in jobs_of(client) if job.kind == "video")
    assert "script_task_id" not in spec
    assert spec["script"]["scenes"][0]["narration"]["text"] == "Tides rise."


@pytest.mark.parametrize("state", [State.QUEUED, State.FAILED])
def test_only_a_succeeded_script_task_is_accepted(client: Client, state: State) -> None:
    task_id = script_task(client, state)

    answer = client.post("/v1/jobs", json={"kind": "video", "script_task_id": task_id})

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json["errors"]] == ["#/script_task_id"]


def test_a_script_of_another_account_is_not_found(client: Client, stranger: Client) -> None:
    task_id = script_task(stranger)

    assert client.post("/v1/jobs", json={"kind": "video", "script_task_id": task_id}).status_code == 422


def test_assets_are_locked_for_the_job(client: Client) -> None:
    asset_id = client.asset()
    visual = {"type": "image", "src": f"asset:{asset_id}"}

    task_id = client.job({"kind": "video", "script": {"scenes": [{"duration": 1, "visual": visual}] * 1}})

    with transaction() as session:
        (use,) = session.scalars(select(JobAsset).where(JobAsset.job_id == uuid.UUID(task_id)))
    assert str(use.asset_id) == asset_id


def test_every_missing_asset_is_reported(client: Client, stranger: Client) -> None:
    others = stranger.asset()
    script = {
        "music": {"src": f"asset:{uuid.uuid4()}"},
        "scenes": [
            {"duration": 1, "visual": {"type": "image", "src": f"asset:{client.asset()}"}},
            {"duration": 1, "visual": {"type": "image", "src": f"asset:{others}"}},
        ],
    }

    answer = client.post("/v1/jobs", json={"kind": "video", "script": script})

    assert answer.status_code == 422
    places = [error["pointer"] for error in answer.json["errors"]]
    assert places == ["#/script/music/src", "#/script/scenes/1/visual/src"]
    assert jobs_of(client) == []


def test_an_asset_of_another_kind_is_reported(client: Client) -> None:
    picture, sound = (f"asset:{client.asset(data)}" for data in (None, tone()))
    script = {
        "music": {"src": picture},
        "overlays": [{"type": "image", "src": sound}],
        "scenes": [
            {"narration": {"src": sound, "text": "said"}, "visual": {"type": "image", "src": picture}},
            {"enabled": False, "visual": {"type": "color", "colors": ["#000000"]}},
            {"visual": {"type": "image", "src": picture, "fallback": {"type": "video", "src": picture}}},
        ],
    }

    answer = client.post("/v1/jobs", json={"kind": "video", "script": script})

    assert answer.status_code == 422
    assert answer.json["errors"] == [
        {"pointer": "#/script/music/src", "detail": "Must be a sound, and the asset is an image."},
        {"pointer": "#/script/overlays/0/src", "detail": "Must be an image, and the asset is a sound."},
        {
            "pointer": "#/script/scenes/2/visual/fallback/src",
            "detail": "Must be a video, and the asset is an image.",
        },
    ]


def test_an_unknown_voice_is_reported_with_other_errors(client: Client) -> None:
    script = {
        "defaults": {"voice": {"name": "nobody"}},
        "music": {"src": f"asset:{client.asset()}"},
        "scenes": [{"narration": "a"}, {"narration": {"text": "b", "voice": {"name": "en_us"}}}],
    }

    answer = client.post("/v1/jobs", json={"kind": "video", "script": script})

    assert answer.status_code == 422
    assert {each["pointer"]: each["detail"] for each in answer.json["errors"]} == {
        "#/script/music/src": "Must be a sound, and the asset is an image.",
        "#/script/defaults/voice/name": "There is no such voice. GET /v1/voices lists them.",
        "#/script/scenes/1/narration/voice/name": "There is no such voice. Did you mean en-us?",
    }
    assert jobs_of(client) == []


def test_a_script_task_without_a_voice_for_its_language_is_reported(client: Client) -> None:
    script = {"language": "tlh", "scenes": [{"narration": "nuqneH"}]}

    answer = client.post(
        "/v1/jobs", json={"kind": "video", "script_task_id": script_task(client, script=script)}
    )

    assert [each["pointer"] for each in answer.json["errors"]] == ["#/script_task_id"]


def tone() -> bytes:
    """A tenth of a second of silence as WAV."""
    target = io.BytesIO()
    with wave.open(target, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(48_000)
        sound.writeframes(bytes(9600))
    return target.getvalue()


def test_the_same_idempotency_key_and_body_give_one_job(client: Client) -> None:
    first = client.post("/v1/jobs", json=HELLO, headers={"Idempotency-Key": "one"})
    again = client.post("/v1/jobs", json=HELLO, headers={"Idempotency-Key": '"one"'})

    assert again.status_code == 202
    assert again.data == first.data
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert again.headers["Location"] == first.headers["Location"]
    assert "Idempotent-Replayed" not in first.headers
    assert len(jobs_of(client)) == 1


def test_a_response_stored_by_a_former_version_is_replayed(client: Client) -> None:
    first = client.post("/v1/jobs", json=HELLO, headers={"Idempotency-Key": "one"})
    with transaction() as session:
        session.execute(update(IdempotencyKey).where(IdempotencyKey.key == "one").values(text=None))

    again = client.post("/v1/jobs", json=HELLO, headers={"Idempotency-Key": "one"})

    assert again.json == first.json


@pytest.mark.parametrize("key", ['"', '""', '"one', 'one"', '""one""', " ", "x" * 256, "a\tb"])
def test_an_invalid_idempotency_key_is_refused(client: Client, key: str) -> None:
    answer = client.post("/v1/jobs", json=HELLO, headers={"Idempotency-Key": key})

    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
    assert jobs_of(client) == []


def test_an_idempotency_key_with_another_body_is_refused(client: Client) -> None:
    client.post("/v1/jobs", json=HELLO, headers={"Idempotency-Key": "one"})

    answer = client.post("/v1/jobs", json={**HELLO, "priority": "bulk"}, headers={"Idempotency-Key": "one"})

    assert answer.status_code == 422
    assert answer.json["type"].endswith("idempotency-key-reused")


def test_an_idempotency_key_belongs_to_its_account(client: Client, stranger: Client) -> None:
    first = client.post("/v1/jobs", json=HELLO, headers={"Idempotency-Key": "one"})
    second = stranger.post("/v1/jobs", json=HELLO, headers={"Idempotency-Key": "one"})

    assert first.json["task_id"] != second.json["task_id"]


def test_a_refused_request_does_not_use_its_idempotency_key(client: Client) -> None:
    bad = {"kind": "video", "script_task_id": str(uuid.uuid4())}
    assert client.post("/v1/jobs", json=bad, headers={"Idempotency-Key": "one"}).status_code == 422

    assert client.post("/v1/jobs", json=HELLO, headers={"Idempotency-Key": "one"}).status_code == 202


def test_concurrent_requests_with_one_idempotency_key_give_one_job(app: Any, client: Client) -> None:
    statuses: list[int] = []

    def ask() -> None:
        headers = {"Authorization": f"Bearer {client.key}", "Idempotency-Key": "race"}
        statuses.append(app.test_client().post("/v1/jobs", json=HELLO, headers=headers).status_code)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(jobs_of(client)) == 1
    assert 202 in statuses
    assert set(statuses) <= {202, 409}
    with transaction() as session:
        keys = session.scalars(
            select(IdempotencyKey).where(IdempotencyKey.account_id == client.account_id)
        ).all()
    assert len(keys) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, '""'])
def test_an_idempotency_key_of_invalid_length_is_refused(client: Client, key: str) -> None:
    answer = client.post("/v1/jobs", json=HELLO, headers={"Idempotency-Key": key})

    assert answer.status_code == 400
    assert jobs_of(client) == []


def test_a_dry_run_returns_timeline_and_estimate_and_accepts_nothing(client: Client) -> None:
    answer = client.post("/v1/jobs?dry_run=true", json=HELLO, headers={"Idempotency-Key": "dry"})

    assert answer.status_code == 200
    assert answer.json["valid"] is True
    assert [scene["id"] for scene in answer.json["timeline"]] == ["hello"]
    assert answer.json["estimate"]["render_seconds"] > 0
    assert jobs_of(client) == []
    assert (
        client.post("/v1/jobs?dry_run=false", json=HELLO, headers={"Idempotency-Key": "dry"}).status_code
        == 202
    )


@pytest.mark.parametrize(
    ("job", "place"),
    [
        ({"kind": "film"}, "#/kind"),
        ({"kind": "video", "script_task_id": "5f0a7b3e-0000-4000-8000-000000000000"}, "#/script_task_id"),
        (
            {
                "kind": "video",
                "script": {"music": {"src": "asset:5f0a7b3e-0000-4000-8000-000000000000"}, "scenes": [{}]},
            },
            "#/script/music/src",
        ),
        (
            {"kind": "video", "script": {"language": "tlh", "scenes": [{"narration": "a"}]}},
            "#/script/language",
        ),
    ],
)
def test_a_dry_run_lists_errors(client: Client, job: dict[str, Any], place: str) -> None:
    answer = client.post("/v1/jobs?dry_run=1", json=job)

    assert answer.status_code == 200
    assert answer.json["valid"] is False
    assert [error["pointer"] for error in answer.json["errors"]] == [place]


@pytest.mark.parametrize("query", ["dry_run=maybe", "dryrun=true", "dry_run="])
def test_a_misspelt_dry_run_accepts_nothing(client: Client, query: str) -> None:
    assert client.post(f"/v1/jobs?{query}", json=HELLO).status_code == 422
    assert jobs_of(client) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://10.1.2.3/",
        "https://[::1]/",
        "https://169.254.169.254/latest",
        "https://2130706433/",
        "http://127.0.0.1/",
        "https://localhost/",
        "https://metadata.google.internal/",
        "https://intranet/",
    ],
)
def test_a_webhook_to_a_private_address_is_refused(client: Client, url: str) -> None:
    job = {**HELLO, "webhook": {"url": url}}

    answer = client.post("/v1/jobs", json=job)
    tried = client.post("/v1/jobs?dry_run=true", json=job).json

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json["errors"]] == ["#/webhook/url"]
    assert (tried["valid"], tried["errors"]) == (False, answer.json["errors"])
    assert jobs_of(client) == []


def test_a_webhook_host_that_does_not_resolve_yet_is_accepted(client: Client) -> None:
    job = {**HELLO, "webhook": {"url": "https://not-there-yet.example/hook"}}

    assert client.post("/v1/jobs", json=job).status_code == 202


def test_an_operator_may_allow_private_webhooks(config: Settings) -> None:
    client = new_client(create_app(config.model_copy(update={"allow_private_addresses": True})))

    answer = client.post("/v1/jobs", json={**HELLO, "webhook": {"url": "http://127.0.0.1:1/"}})

    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("header", "kept"), [("no-cache", True), ("max-age=0, no-cache", True), ("no-store", None)]
)
def test_no_cache_is_stored_with_the_job(client: Client, header: str, kept: bool | None) -> None:
    client.post("/v1/jobs", json=HELLO, headers={"Cache-Control": header})

    (job,) = jobs_of(client)
    assert job.spec.get("no_cache") == kept
