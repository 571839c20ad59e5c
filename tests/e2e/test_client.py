"""Both clients against a whole stack: every operation of the OpenAPI document, with each of its parameters."""

from __future__ import annotations

import hashlib
import io
import os
import re
import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from PIL import Image

from scenemill import ApiError, TaskFailed, WaitTimeout, by_key, by_password
from tests import bridge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.services, pytest.mark.timeout(300)]

SMALL = {"resolution": "360p", "quality": "draft", "fps": 24}
HELLO = {
    "kind": "video",
    "script": {"scenes": [{"id": "hello", "narration": "Hello, world."}]},
    "output": SMALL,
}
LONG = {"kind": "video", "script": {"scenes": [{"duration": 600}] * 5}}
TIDES = {"kind": "script", "brief": {"topic": "Tides"}}
GREETING = {
    "title": "Greeting",
    "fields": {"name": {"type": "string"}},
    "script": {"scenes": [{"narration": "Hello, {{name}}."}]},
}
# For browsers: whether they show a file or save it.
UNUSED = {
    ("get", "/v1/tasks/{task_id}/artifacts/{name}", "download"),
    ("get", "/v1/assets/{asset_id}/content", "download"),
    # The clients use POST /v1/dry-runs.
    ("post", "/v1/jobs", "dry_run"),
}
# Signed links are for those who have no key, and so no client.
UNCALLED = {("get", "/v1/links/{task_id}/{expires}/{signature}/{name}")}


@dataclass
class Recorder:
    """What was sent: each request's method, path, query parameters, and whether it had an idempotency key."""

    sent: list[tuple[str, str, frozenset[str], bool]] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> None:
        parameters = frozenset(request.url.params.keys())
        repeatable = "Idempotency-Key" in request.headers
        self.sent.append((request.method.lower(), request.url.path, parameters, repeatable))


@dataclass
class Tour:
    """A client, and what the visits leave for later ones."""

    api: Any
    folder: Path
    name: str = field(default_factory=lambda: uuid.uuid4().hex[:12])


def picture(color: str = "teal") -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (640, 360), color).save(target, "PNG")
    return target.getvalue()


def write_all(descriptor: int, content: bytes) -> None:
    with os.fdopen(descriptor, "wb") as pipe:
        pipe.write(content)


def is_refused(status: int, call: Callable[[], Any]) -> None:
    with pytest.raises(ApiError) as refused:
        call()
    assert refused.value.status == status


def submits_jobs(tour: Tour) -> None:
    tried = tour.api.jobs.dry_run({**HELLO, "output": {"fps": 7}})
    job = {**HELLO, "custom_id": tour.name, "metadata": {"customer": tour.name}}

    assert not tried.valid
    assert [one.pointer for one in tried.errors] == ["#/output/fps"]
    assert tour.api.jobs.estimate(HELLO).render_seconds > 0
    with pytest.raises(ApiError, match="#/output/fps"):
        tour.api.jobs.estimate({**HELLO, "output": {"fps": 7}})
    first = tour.api.jobs.submit(job, idempotency_key=tour.name)
    assert tour.api.jobs.submit(job, idempotency_key=tour.name).id == first.id
    assert tour.api.jobs.submit(TIDES, fresh=True).kind == "script"


def follows_tasks(tour: Tour) -> None:
    (task,) = tour.api.tasks.list(q=f"customer:{tour.name}")
    seen: list[float] = []
    done = tour.api.tasks.wait(task, timeout=120, on_change=lambda changed: seen.append(changed.progress))
    (*_, last) = tour.api.tasks.events(task)

    assert done.status == "succeeded"
    assert seen == sorted(seen)
    assert (last.name, last.data.status) == ("status", "succeeded")
    assert list(tour.api.tasks.events(task, last_event_id=last.id)) == []
    assert tour.api.tasks.get(task.id, wait=1).result == done.result
    assert next(tour.api.events()).data.task_id
    hour = timedelta(hours=1)
    listed = tour.api.tasks.list(
        kind="video",
        status=("succeeded", "failed"),
        created_after=datetime.now(UTC) - hour,
        created_before=datetime.now(UTC) + hour,
        q=tour.name,
        limit=5,
    )
    assert [one.id for one in listed] == [task.id]
    signed = tour.api.tasks.get(task, signed_links=True).artifacts[0].signed_url
    assert signed
    assert httpx.get(signed, timeout=10).status_code == 200
    (again,) = tour.api.tasks.list(q=tour.name, signed_links=True)
    assert again.artifacts[0].signed_url == signed
    assert len(list(islice(tour.api.tasks.list(), 2))) == 2
    assert list(tour.api.tasks.list(batch=str(uuid.uuid4()))) == []


def fetches_files(tour: Tour) -> None:
    (task,) = tour.api.tasks.list(q=f"customer:{tour.name}")
    video = task.artifact("video.mp4")
    path = tour.api.tasks.download(video, tour.folder)
    files = tour.api.tasks.download_all(task, tour.folder / "all")

    assert path == tour.folder / "video.mp4"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == video.sha256
    assert {name: one.stat().st_size for name, one in files.items()} == {
        one.name: one.bytes for one in task.artifacts
    }
    assert b"Hello, world." in tour.api.tasks.read(task.artifact("captions.srt"))
    with pytest.raises(KeyError, match=r"no artifact 'video\.avi'.*video\.mp4"):
        task.artifact("video.avi")


def ends_tasks(tour: Tour) -> None:
    task = tour.api.jobs.submit(LONG)
    with pytest.raises(WaitTimeout, match="is still"):
        tour.api.tasks.wait(task, timeout=0.3)
    tour.api.tasks.cancel(task)
    with pytest.raises(TaskFailed, match=f"{task.id} canceled") as ended:
        tour.api.tasks.wait(task, timeout=60)

    assert ended.value.task.status == "canceled"
    is_refused(409, lambda: tour.api.tasks.cancel(task))
    assert tour.api.tasks.retry(task).status == "queued"
    tour.api.tasks.cancel(task)
    assert tour.api.tasks.wait(task, timeout=60, check=False).status == "canceled"
    tour.api.tasks.delete(task)
    is_refused(404, lambda: tour.api.tasks.get(task))


def submits_batches(tour: Tour) -> None:
    tour.api.templates.put(tour.name, GREETING)
    hook = {"url": "https://1.1.1.1/hook"}
    listed = tour.api.batches.submit([{"brief": {"topic": "Tides"}}, {"brief": {}}], defaults={"kind": "script"},
                                     on_invalid="skip")  # fmt: skip
    lines = tour.api.batches.submit((TIDES for _ in range(3)), on_invalid="reject", webhook=hook)
    table = tour.api.batches.submit_csv("custom_id,name\na,Ada\n", tour.name, template_version=1)
    (tour.folder / "jobs.csv").write_text("name\nGrace\nAda\n")
    (tour.folder / "jobs.json").write_text('[{"kind": "script", "brief": {"topic": "Dunes"}}]')
    from_table = tour.api.batches.submit_file(tour.folder / "jobs.csv", template=tour.name)
    from_json = tour.api.batches.submit_file(str(tour.folder / "jobs.json"))

    assert [(one.index, one.errors[0].pointer) for one in listed.skipped] == [(1, "#/jobs/1/brief")]
    assert [len(one.task_ids) for one in (lines, table, from_table, from_json)] == [3, 1, 2, 1]
    for one in (table, from_table):
        tour.api.batches.cancel(one)
        assert tour.api.batches.wait(one, timeout=120).counts["queued"] == 0
    assert tour.api.batches.retry(table).id == table.id
    tour.api.batches.cancel(table)
    follows_batch(tour, lines)


def follows_batch(tour: Tour, batch: Any) -> None:
    done = tour.api.batches.wait(batch, timeout=120)
    (*_, last) = tour.api.batches.events(batch)
    hour = datetime.now(UTC) - timedelta(hours=1)
    none = tour.api.batches.tasks(
        batch,
        status="failed",
        kind="script",
        created_after=hour,
        created_before="2100-01-01",
        q="none",
        limit=1,
        signed_links=True,
    )

    assert done.counts["succeeded"] == 3
    assert tour.api.batches.get(batch) == done == last.data
    assert list(none) == []
    assert tuple(one.id for one in tour.api.batches.tasks(batch)) == batch.task_ids
    assert tuple(one.id for one in tour.api.batches.results(batch)) == batch.task_ids


def uploads_files(tour: Tour) -> None:
    file = tour.folder / "picture.png"
    file.write_bytes(picture() + os.urandom(9 << 20))
    large = tour.api.assets.upload(file)
    small = tour.api.assets.upload(picture("red"))
    with file.open("rb") as opened:
        again = tour.api.assets.upload(opened)
    read, write = os.pipe()
    writer = threading.Thread(target=write_all, args=(write, file.read_bytes()))
    writer.start()
    with os.fdopen(read, "rb") as pipe:
        streamed = tour.api.assets.upload(pipe)
    writer.join()

    assert large.sha256 == again.sha256 == streamed.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (small.kind, small.width, small.src) == ("image", 640, f"asset:{small.id}")
    assert small in list(tour.api.assets.list(limit=10))
    assert tour.api.assets.get(small.id) == small
    assert tour.api.assets.download(small, tour.folder / "red.png").read_bytes() == picture("red")
    tour.api.assets.delete(small)
    is_refused(404, lambda: tour.api.assets.get(small))


def uploads_pieces(tour: Tour) -> None:
    content = picture("blue")
    upload = tour.api.uploads.create(len(content), metadata="filename YQ==")
    other = tour.api.uploads.create(None)

    assert tour.api.uploads.append(upload, 0, content[:100]) is None
    assert tour.api.uploads.offset(upload) == 100
    asset = tour.api.uploads.append(upload, 100, content[100:])
    assert tour.api.assets.get(asset).bytes == len(content)
    assert tour.api.uploads.append(other, 0, content, length=len(content))
    third = tour.api.uploads.create(10)
    tour.api.uploads.delete(third)
    is_refused(410, lambda: tour.api.uploads.offset(third))


def keeps_templates(tour: Tour) -> None:
    tour.api.templates.put(tour.name, {**GREETING, "title": "Greetings"})

    assert tour.api.templates.get(tour.name).title == "Greetings"
    assert tour.api.templates.get(tour.name, version=1).script == GREETING["script"]
    assert [one.version for one in tour.api.templates.versions(tour.name)] == [2, 1]
    assert tour.name in {one.id for one in tour.api.templates.list()}
    tour.api.templates.delete(tour.name)
    is_refused(404, lambda: tour.api.templates.get(tour.name))
    assert "slate" in {one.name for one in tour.api.themes.list()}
    assert {one.language.partition("-")[0] for one in tour.api.voices.list("pt")} == {"pt"}


def sees_webhooks(tour: Tour) -> None:
    task = tour.api.jobs.submit({**TIDES, "webhook": {"url": "https://1.1.1.1/hook"}})
    tour.api.tasks.wait(task, timeout=60)
    (found,) = tour.api.webhooks.deliveries(task=task, event="task.succeeded", limit=1)
    batches = tour.api.webhooks.deliveries(status="pending", batch=str(uuid.uuid4()))

    assert tour.api.webhooks.delivery(found).task_id == task.id
    assert tour.api.webhooks.resend(found).id == found.id
    assert list(batches) == []
    tour.api.tasks.wait(tour.api.jobs.submit({**TIDES, "webhook": {"url": "https://1.1.1.1/hook"}}))
    assert len(list(islice(tour.api.webhooks.deliveries(), 2))) == 2
    secret = tour.api.webhooks.rotate_secret(overlap=0).secret
    assert tour.api.webhooks.secret().secret == secret
    assert secret not in repr(tour.api.webhooks.secret())


def keeps_keys(tour: Tour) -> None:
    made = tour.api.keys.create("tour", ["jobs:read"])
    tokens = tour.api.tokens.create(by_key(made.key))
    newer = tour.api.tokens.refresh(tokens.refresh_token)
    tour.api.tokens.revoke(newer.access_token)

    assert made.key not in repr(made)
    assert tokens.scope == newer.scope == "jobs:read"
    is_refused(400, lambda: tour.api.tokens.refresh(newer.refresh_token))
    tour.api.keys.revoke(made.id)
    assert next(one for one in tour.api.keys.list() if one.id == made.id).revoked_at
    assert tour.api.usage(months=1).months[0].used["render_seconds"].amount > 0


def administers(tour: Tour) -> None:
    admin = tour.api.admin
    account = admin.create_account({"name": tour.name, "weight": 2}).account_id
    user = admin.create_user(account, {"username": tour.name, "scopes": ["jobs:read"]})
    again = admin.one_time_password(user.user_id)
    admin.change_user(user.user_id, {"password": "correct horse battery"})

    assert user.password != again.password
    assert tour.api.tokens.create(by_password(tour.name, "correct horse battery")).access_token
    assert [one.username for one in admin.users(account)] == [tour.name]
    assert admin.create_account_key(account, "first", ["jobs:read"]).key
    assert admin.change_account(account, {"budget": 5, "disabled": True}).budget == 5
    admin.delete_user(user.user_id)
    assert account in {one.account_id for one in admin.accounts()}
    whose = list(admin.audit_events(limit=2))[1].account_id
    (event,) = admin.audit_events(account_id=whose, action="users.deleted", limit=1)
    assert event.subject == f"user:{user.user_id}"
    assert {one.queue for one in admin.queues().queues} == {"scripts", "renders"}
    is_refused(404, lambda: admin.requeue(str(uuid.uuid4())))


VISITS = (
    submits_jobs, follows_tasks, fetches_files, ends_tasks, submits_batches, uploads_files, uploads_pieces,
    keeps_templates, sees_webhooks, keeps_keys, administers,
)  # fmt: skip


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], set[str], bool]]:
    """Give each operation's method, path, query parameters, and whether it takes an idempotency key."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method == "parameters":
                continue
            parameters = [*operation.get("parameters", ()), *methods.get("parameters", ())]
            query = {one["name"] for one in parameters if one["in"] == "query"}
            yield method, path, operation, query, any(one["name"] == "Idempotency-Key" for one in parameters)


# httpx and httpcore leave their generators to the event loop, and trio says so.
@pytest.mark.filterwarnings("ignore:Async generator 'http:ResourceWarning")
@pytest.mark.parametrize("kind", bridge.CLIENTS)
def test_each_operation_is_called_with_each_of_its_parameters(
    stack: Stack, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scenemill.calls.reading.PAGE", 1)  # so that lists have pages to follow
    recorder = Recorder()
    with bridge.connect(kind, stack.facts["api"], stack.facts["api_key"], on_request=recorder) as api:
        tour = Tour(api, tmp_path)
        for visit in VISITS:
            visit(tour)

    document = stack.http.get("/openapi.json").json()
    missing, unsafe = [], []
    for method, path, _, query, keyed in operations(document):
        pattern = re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)))
        calls = [one for one in recorder.sent if one[0] == method and pattern.fullmatch(one[1])]
        used = frozenset().union(*(one[2] for one in calls))
        if (method, path) in UNCALLED:
            continue
        missing += [(method, path)] if not calls else []
        missing += [(method, path, name) for name in query - used if (method, path, name) not in UNUSED]
        unsafe += [(method, path)] if keyed and not all(one[3] for one in calls) else []
    assert not missing
    assert not unsafe
