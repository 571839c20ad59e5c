"""POST /v1/jobs."""

from __future__ import annotations

import io
import threading
import uuid
import wave
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis
from sqlalchemy import func, select, update

from api.app import create_app
from api.submission import accept
from api.submission.room import QueueFull, Room, wait
from shared.db import transaction
from shared.errors import Unavailable
from shared.models import AuditEvent, IdempotencyKey, Job, JobAsset
from shared.reports import backlog
from shared.states import State
from tests import factories
from tests.integration.api.conftest import HELLO, new_client

if TYPE_CHECKING:
    from shared.settings import Settings
    from tests.integration.api.conftest import Client

pytestmark = pytest.mark.services


def jobs_of(client: Client) -> list[Job]:
    with transaction() as session:
        return list(session.scalars(select(Job).where(Job.account_id == client.account_id)))


def script_task(client: Client, state: State = State.SUCCEEDED, **result: Any) -> str:
    task_id = client.job({"kind": "script", "brief": {"topic": "Tides"}})
    document = {"script": {"scenes": [{"id": "written", "narration": "Tides rise."}]}, **result}
    with transaction() as session:
        values = {"state": state, "result": document if state == State.SUCCEEDED else None}
        session.execute(update(Job).where(Job.id == uuid.UUID(task_id)).values(**values))
    return task_id


def test_a_job_is_answered_with_its_task_and_where_to_find_it(client: Client) -> None:
    answer = client.post("/v1/jobs", json={**HELLO, "metadata": {"a": "b"}, "custom_id": "mine"})

    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/tasks/{answer.json['task_id']}"
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json["status"] == "queued"
    assert answer.json["metadata"] == {"a": "b"}
    assert answer.json["custom_id"] == "mine"
    assert [scene["id"] for scene in answer.json["scenes"]] == ["hello"]
    assert client.get(answer.headers["Location"]).json == answer.json


def test_a_job_is_written_with_its_audit_event_and_published_after(client: Client, redis_url: str) -> None:
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
def test_a_brief_is_taken(client: Client, job: dict[str, Any], kind: str) -> None:
    assert client.post("/v1/jobs", json=job).json["kind"] == kind


def test_a_video_of_a_script_task_is_of_that_tasks_script(client: Client) -> None:
    task_id = script_task(client)

    answer = client.post("/v1/jobs", json={"kind": "video", "script_task_id": task_id})

    assert [scene["id"] for scene in answer.json["scenes"]] == ["written"]
    spec = next(job.spec for job in jobs_of(client) if job.kind == "video")
    assert "script_task_id" not in spec
    assert spec["script"]["scenes"][0]["narration"]["text"] == "Tides rise."


@pytest.mark.parametrize("state", [State.QUEUED, State.FAILED])
def test_only_a_succeeded_script_task_gives_a_script(client: Client, state: State) -> None:
    task_id = script_task(client, state)

    answer = client.post("/v1/jobs", json={"kind": "video", "script_task_id": task_id})

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json["errors"]] == ["#/script_task_id"]


def test_a_script_of_another_account_is_not_found(client: Client, stranger: Client) -> None:
    task_id = script_task(stranger)

    assert client.post("/v1/jobs", json={"kind": "video", "script_task_id": task_id}).status_code == 422


def test_assets_are_held_for_the_job(client: Client) -> None:
    asset_id = client.asset()
    visual = {"type": "image", "src": f"asset:{asset_id}"}

    task_id = client.job({"kind": "video", "script": {"scenes": [{"duration": 1, "visual": visual}] * 1}})

    with transaction() as session:
        (use,) = session.scalars(select(JobAsset).where(JobAsset.job_id == uuid.UUID(task_id)))
    assert str(use.asset_id) == asset_id


def test_every_missing_asset_is_named_by_its_place(client: Client, stranger: Client) -> None:
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


def test_an_asset_of_another_kind_is_told_of_by_its_place(client: Client) -> None:
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


def test_a_voice_that_nobody_has_is_told_of_beside_what_else_is_wrong(client: Client) -> None:
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


def test_a_written_script_that_nobody_can_speak_is_told_of_by_its_task(client: Client) -> None:
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


def test_the_same_key_and_body_are_one_job(client: Client) -> None:
    first = client.post("/v1/jobs", json=HELLO, headers={"Idempotency-Key": "one"})
    again = client.post("/v1/jobs", json=HELLO, headers={"Idempotency-Key": '"one"'})

    assert again.status_code == 202
    assert again.data == first.data
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert again.headers["Location"] == first.headers["Location"]
    assert "Idempotent-Replayed" not in first.headers
    assert len(jobs_of(client)) == 1


def test_what_a_former_version_was_asked_is_answered_again(client: Client) -> None:
    first = client.post("/v1/jobs", json=HELLO, headers={"Idempotency-Key": "one"})
    with transaction() as session:
        session.execute(update(IdempotencyKey).where(IdempotencyKey.key == "one").values(text=None))

    again = client.post("/v1/jobs", json=HELLO, headers={"Idempotency-Key": "one"})

    assert again.json == first.json


@pytest.mark.parametrize("key", ['"', '""', '"one', 'one"', '""one""', " ", "x" * 256, "a\tb"])
def test_what_is_no_key_is_refused(client: Client, key: str) -> None:
    answer = client.post("/v1/jobs", json=HELLO, headers={"Idempotency-Key": key})

    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
    assert jobs_of(client) == []


def test_the_same_key_with_another_body_is_refused(client: Client) -> None:
    client.post("/v1/jobs", json=HELLO, headers={"Idempotency-Key": "one"})

    answer = client.post("/v1/jobs", json={**HELLO, "priority": "bulk"}, headers={"Idempotency-Key": "one"})

    assert answer.status_code == 422
    assert answer.json["type"].endswith("idempotency-key-reused")


def test_a_key_belongs_to_its_account(client: Client, stranger: Client) -> None:
    first = client.post("/v1/jobs", json=HELLO, headers={"Idempotency-Key": "one"})
    second = stranger.post("/v1/jobs", json=HELLO, headers={"Idempotency-Key": "one"})

    assert first.json["task_id"] != second.json["task_id"]


def test_a_refused_request_leaves_its_key_free(client: Client) -> None:
    bad = {"kind": "video", "script_task_id": str(uuid.uuid4())}
    assert client.post("/v1/jobs", json=bad, headers={"Idempotency-Key": "one"}).status_code == 422

    assert client.post("/v1/jobs", json=HELLO, headers={"Idempotency-Key": "one"}).status_code == 202


def test_of_many_at_once_with_one_key_one_is_taken(app: Any, client: Client) -> None:
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
def test_a_key_of_a_wrong_length_is_refused(client: Client, key: str) -> None:
    answer = client.post("/v1/jobs", json=HELLO, headers={"Idempotency-Key": key})

    assert answer.status_code == 400
    assert jobs_of(client) == []


def test_a_full_queue_refuses_before_anything_is_taken(
    config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction() as session:
        session.execute(update(Job).values(state=State.CANCELED))
    monkeypatch.setattr(accept, "_room", Room())
    full = new_client(create_app(config.model_copy(update={"max_queued": 2})))
    full.job()

    batch = full.post("/v1/batch", json={"jobs": [HELLO, HELLO]})
    second = full.post("/v1/jobs", json=HELLO)
    third = full.post("/v1/jobs", json=HELLO)

    assert (batch.status_code, second.status_code, third.status_code) == (503, 202, 503)
    assert int(third.headers["Retry-After"]) >= 1
    assert third.json["type"].endswith("queue-full")
    assert len(jobs_of(full)) == 2


def test_of_two_at_once_one_has_the_last_place(config: Settings, client: Client) -> None:
    limits = config.model_copy(update={"max_queued": 1})
    with transaction() as session:
        session.execute(update(Job).values(state=State.CANCELED))
    with transaction() as one:
        Room().admit(one, client.account_id, 1, limits)
        factories.job(one, client.account_id)
        with pytest.raises(Unavailable, match="database"), transaction() as other:
            other.execute(select(func.set_config("lock_timeout", "200ms", True)))
            Room().admit(other, client.account_id, 1, limits)

    with pytest.raises(QueueFull), transaction() as other:
        Room().admit(other, client.account_id, 1, limits)


def test_there_is_room_again_as_soon_as_a_job_has_ended(
    config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction() as session:
        session.execute(update(Job).values(state=State.CANCELED))
    monkeypatch.setattr(accept, "_room", Room())
    full = new_client(create_app(config.model_copy(update={"max_queued": 1})))
    task_id = full.job()
    assert full.post("/v1/jobs", json=HELLO).status_code == 503

    full.post(f"/v1/tasks/{task_id}/cancel")

    assert full.post("/v1/jobs", json=HELLO).status_code == 202


@pytest.mark.parametrize("limit", ["max_queued", "max_queued_account"])
def test_a_batch_that_never_fits_is_too_large_whatever_is_queued(
    config: Settings, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(accept, "_room", Room())
    small = new_client(create_app(config.model_copy(update={limit: 2})))

    answer = small.post("/v1/batch", json={"jobs": [HELLO] * 3})

    assert (answer.status_code, answer.json["code"]) == (413, "too-large")
    assert "2 may be unfinished" in answer.json["detail"]
    assert "Retry-After" not in answer.headers
    assert jobs_of(small) == []


def test_canceled_jobs_do_not_tell_how_fast_the_queue_drains(client: Client) -> None:
    states = [State.SUCCEEDED, State.FAILED, *[State.CANCELED] * 5]
    ids = [uuid.UUID(client.job()) for _ in states]

    with transaction() as session:
        for job_id, state in zip(ids, states, strict=True):
            session.execute(update(Job).where(Job.id == job_id).values(state=state, finished_at=func.now()))
        assert backlog.finished(session, client.account_id) == 2


@pytest.mark.parametrize(
    ("limit", "status"), [("max_queued_account", 429), ("max_queued", 503)], ids=["of-an-account", "of-all"]
)
@pytest.mark.parametrize(("began", "seconds"), [(9.0, "2"), (0.0, "1"), (300.0, "12")])
def test_when_to_come_again_is_told_by_the_time_since_work_began(
    config: Settings, monkeypatch: pytest.MonkeyPatch, limit: str, status: int, began: float, seconds: str
) -> None:
    monkeypatch.setattr(accept, "_room", Room())
    full = new_client(create_app(config.model_copy(update={limit: 1})))
    now = datetime.now(UTC)
    with transaction() as session:
        session.execute(update(Job).values(state=State.CANCELED))
        for ago in (began, *[0.0] * 4):
            started = {"started_at": now - timedelta(seconds=ago), "created_at": now - timedelta(hours=1)}
            factories.job(session, full.account_id, state=State.SUCCEEDED, finished_at=now, **started)
    full.job()

    refused = full.post("/v1/jobs", json=HELLO)

    assert (refused.status_code, refused.headers["Retry-After"]) == (status, seconds)


def test_a_dry_run_tells_what_would_come_and_takes_nothing(client: Client) -> None:
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
def test_a_dry_run_tells_what_is_wrong(client: Client, job: dict[str, Any], place: str) -> None:
    answer = client.post("/v1/jobs?dry_run=1", json=job)

    assert answer.status_code == 200
    assert answer.json["valid"] is False
    assert [error["pointer"] for error in answer.json["errors"]] == [place]


@pytest.mark.parametrize("query", ["dry_run=maybe", "dryrun=true", "dry_run="])
def test_a_misspelt_dry_run_takes_nothing(client: Client, query: str) -> None:
    assert client.post(f"/v1/jobs?{query}", json=HELLO).status_code == 422
    assert jobs_of(client) == []


def test_an_accounts_own_queue_has_a_limit_that_others_do_not_feel(
    config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accept, "_room", Room())
    app = create_app(config.model_copy(update={"max_queued_account": 2}))
    hog, other = new_client(app), new_client(app)
    first = hog.job()
    hog.job()

    refused = hog.post("/v1/jobs", json=HELLO)
    other.job()
    batch = other.post("/v1/batch", json={"jobs": [HELLO] * 2})

    assert (refused.status_code, refused.json["code"]) == (429, "queue-full")
    assert refused.headers["Retry-After"] == "60"  # nothing has ended for a minute
    assert batch.status_code == 429
    assert other.post("/v1/jobs", json=HELLO).status_code == 202
    hog.post(f"/v1/tasks/{first}/cancel")
    assert hog.post("/v1/jobs", json=HELLO).status_code == 202
    again = hog.post("/v1/jobs", json=HELLO)
    assert (again.status_code, again.headers["Retry-After"]) == (429, "60")


@pytest.mark.parametrize(
    ("over", "finished", "seconds"), [(1, 0, 60), (1, 600, 1), (50, 10, 300), (10_000, 60, 600), (1, 60, 1)]
)
def test_when_to_come_again_follows_from_how_fast_jobs_end(over: int, finished: int, seconds: int) -> None:
    assert wait(over, finished) == seconds


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
def test_a_webhook_to_within_is_refused_at_once(client: Client, url: str) -> None:
    job = {**HELLO, "webhook": {"url": url}}

    answer = client.post("/v1/jobs", json=job)
    tried = client.post("/v1/jobs?dry_run=true", json=job).json

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json["errors"]] == ["#/webhook/url"]
    assert (tried["valid"], tried["errors"]) == (False, answer.json["errors"])
    assert jobs_of(client) == []


def test_a_webhook_to_whom_nobody_knows_now_is_taken_and_looked_up_when_it_is_sent(client: Client) -> None:
    job = {**HELLO, "webhook": {"url": "https://not-there-yet.example/hook"}}

    assert client.post("/v1/jobs", json=job).status_code == 202


def test_an_operator_may_allow_webhooks_to_within(config: Settings) -> None:
    client = new_client(create_app(config.model_copy(update={"allow_private_addresses": True})))

    answer = client.post("/v1/jobs", json={**HELLO, "webhook": {"url": "http://127.0.0.1:1/"}})

    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("header", "kept"), [("no-cache", True), ("max-age=0, no-cache", True), ("no-store", None)]
)
def test_a_job_may_ask_models_and_providers_again(client: Client, header: str, kept: bool | None) -> None:
    client.post("/v1/jobs", json=HELLO, headers={"Cache-Control": header})

    (job,) = jobs_of(client)
    assert job.spec.get("no_cache") == kept
