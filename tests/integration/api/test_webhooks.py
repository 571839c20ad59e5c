"""/v1/webhook-deliveries and /v1/webhook-secret."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from shared.db import transaction
from shared.lifecycle import deliveries
from shared.lifecycle.deliveries import Outcome
from shared.models import Delivery, DisabledAddress
from tests.integration.api.conftest import HELLO
from tests.integration.api.test_batch import end

if TYPE_CHECKING:
    from tests.integration.api.conftest import Client

pytestmark = pytest.mark.services

HOOK = {"url": "https://1.1.1.1/hook"}
PATH = "/v1/webhook-deliveries"


def told(client: Client, *, well: bool = True) -> str:
    """End a job that has a webhook, and return its id."""
    task_id = client.job({**HELLO, "webhook": HOOK})
    end(task_id, well=well)
    return task_id


def attempt(task_id: str, status: int) -> None:
    with transaction() as session:
        row = session.scalars(select(Delivery).where(Delivery.subject == task_id)).one()
        session.execute(update(Delivery).where(Delivery.id == row.id).values(attempt=row.attempt + 1))
        session.refresh(row)
        deliveries.settle(session, row, Outcome(status, None, 0.25))


def listed(client: Client, query: str = "") -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = client.get(f"{PATH}{query}").json["data"]
    return data


def test_each_delivery_is_shown_with_its_attempts(client: Client) -> None:
    task_id = told(client)
    attempt(task_id, 500)
    attempt(task_id, 204)

    (shown,) = listed(client)

    assert (shown["task_id"], shown["batch_id"], shown["event"]) == (task_id, None, "task.succeeded")
    assert (shown["status"], shown["url"], shown["next_attempt_at"]) == ("delivered", HOOK["url"], None)
    assert [(one["status"], one["seconds"]) for one in shown["attempts"]] == [(500, 0.25), (204, 0.25)]
    assert shown["webhook_id"] == f"msg_{uuid.UUID(shown['delivery_id']).hex}"
    assert client.get(shown["links"]["self"]).json == shown


def test_deliveries_are_filtered_and_paged(client: Client) -> None:
    good, bad = told(client), told(client, well=False)
    attempt(good, 204)
    batch = client.post("/v1/batch", json={"jobs": [HELLO], "webhook": HOOK}).json
    end(batch["task_ids"][0], well=True)

    found = {
        query: [one["task_id"] or one["batch_id"] for one in listed(client, query)]
        for query in ("?status=delivered", "?status=pending,failed", "?event=task.failed", f"?task_id={good}",
                      f"?batch_id={batch['batch_id']}")
    }  # fmt: skip
    first = client.get(f"{PATH}?limit=2").json
    second = client.get(f"{PATH}?limit=2&cursor={first['next_cursor']}").json

    assert found == {
        "?status=delivered": [good],
        "?status=pending,failed": [batch["batch_id"], bad],
        "?event=task.failed": [bad],
        f"?task_id={good}": [good],
        f"?batch_id={batch['batch_id']}": [batch["batch_id"]],
    }
    assert [one["task_id"] for one in first["data"] + second["data"]] == [None, bad, good]
    assert second["next_cursor"] is None


def test_a_delivery_shows_that_its_url_is_disabled(client: Client) -> None:
    attempt(told(client), 410)
    told(client)
    with transaction() as session:
        session.execute(
            update(Delivery).where(Delivery.account_id == client.account_id).values(state="failed")
        )

    untried, gone = listed(client)
    resent = client.post(gone["links"]["resend"]).json

    assert (untried["attempts"], untried["disabled"], gone["disabled"]) == ([], True, True)
    assert [one["disabled"] for one in (resent, *listed(client))] == [False] * 3


def test_a_delivery_is_resent(client: Client) -> None:
    task_id = told(client)
    attempt(task_id, 410)
    (gone,) = listed(client)
    assert gone["status"] == "failed"

    answer = client.post(gone["links"]["resend"])

    assert answer.status_code == 202
    assert (answer.json["status"], answer.json["delivery_id"]) == ("pending", gone["delivery_id"])
    assert answer.json["next_attempt_at"]
    with transaction() as session:
        assert session.get(DisabledAddress, (client.account_id, HOOK["url"])) is None


def test_deliveries_of_another_account_are_not_found(client: Client, stranger: Client) -> None:
    told(stranger)
    path = listed(stranger)[0]["links"]["self"]

    assert listed(client) == []
    assert client.get(path).status_code == client.post(f"{path}/resend").status_code == 404


def test_the_secret_is_rotated_with_an_overlap(client: Client) -> None:
    first = client.get("/v1/webhook-secret").json
    again = client.get("/v1/webhook-secret").json

    rotated = client.post("/v1/webhook-secret", json={"overlap": 3600})
    at_once = client.post("/v1/webhook-secret", json={"overlap": 0})

    assert first == again
    assert first["secret"].startswith("whsec_")
    assert (rotated.status_code, rotated.json["signing"]) == (201, 2)
    assert rotated.json["secret"] != first["secret"]
    assert at_once.json["signing"] == 2  # the first one still overlaps, the second does not
    assert client.get("/v1/webhook-secret").json["secret"] == at_once.json["secret"]


def test_at_most_five_secrets_sign_and_an_overlap_of_0_ends_at_once(
    client: Client,
) -> None:
    client.get("/v1/webhook-secret")
    for former in range(1, deliveries.MAX_OLD_SECRETS + 1):
        assert client.post("/v1/webhook-secret", json={"overlap": 3600}).json["signing"] == former + 1

    refused = client.post("/v1/webhook-secret", json={"overlap": 3600})
    at_once = client.post("/v1/webhook-secret", json={"overlap": 0})

    assert (refused.status_code, refused.json["code"]) == (409, "conflict")
    assert (at_once.status_code, at_once.json["signing"]) == (201, deliveries.MAX_OLD_SECRETS + 1)


@pytest.mark.parametrize(
    "said", [{}, {"json": {}}, {"data": b"", "content_type": "application/json"}], ids=["none", "{}", "empty"]
)
def test_a_rotation_needs_no_body(client: Client, said: dict[str, Any]) -> None:
    client.get("/v1/webhook-secret")

    rotated = client.post("/v1/webhook-secret", headers={"Idempotency-Key": "once"}, **said)
    again = client.post("/v1/webhook-secret", headers={"Idempotency-Key": "once"})

    assert (rotated.status_code, rotated.json["signing"]) == (201, 2)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")


def test_a_webhook_secret_is_not_stored_with_its_response(client: Client) -> None:
    key = {"Idempotency-Key": "rotate"}
    client.post("/v1/webhook-secret", json={}, headers=key)
    replayed = client.post("/v1/webhook-secret", json={}, headers=key)

    assert replayed.json["secret"] is None
    assert client.get("/v1/webhook-secret").json["signing"] == 1


def test_the_webhook_secret_needs_the_scope_keys_write(client: Client) -> None:
    key = client.key_with("jobs:read", "jobs:write")

    assert client.get("/v1/webhook-secret", key=key).status_code == 403
    assert client.post("/v1/webhook-secret", json={}, key=key).status_code == 403


@pytest.mark.parametrize("overlap", [-1, 8 * 24 * 3600, "1"])
def test_an_overlap_is_limited(client: Client, overlap: object) -> None:
    assert client.post("/v1/webhook-secret", json={"overlap": overlap}).status_code == 422
