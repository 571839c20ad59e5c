"""Templates by version, and jobs that are made by them."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from api.library.built_in import built_in
from shared.db import transaction
from shared.models import Job, JobAsset

if TYPE_CHECKING:
    from flask import Flask

    from tests.integration.api.conftest import Client

pytestmark = pytest.mark.services

CARD: dict[str, Any] = {
    "title": "Card",
    "fields": {
        "name": {"type": "string", "max_length": 40},
        "price": {"type": "number", "minimum": 0, "maximum": 1000},
        "photo": {"type": "asset", "optional": True},
        "points": {"type": "list", "items": {"type": "string", "max_length": 60}, "max_items": 3, "default": ["New"]},
    },
    "script": {
        "scenes": [
            {
                "narration": "{{name}} costs {{price}} euros.",
                "visual": {"if": "photo", "type": "image", "src": "{{photo}}"},
            },
            {"each": "points", "narration": "{{number}}: {{points}}"},
        ]
    },
}  # fmt: skip


def put(client: Client, name: str = "card", body: Any = None, status: int = 201) -> dict[str, Any]:
    answer = client.ask("PUT", f"/v1/templates/{name}", json=body or CARD)
    assert answer.status_code == status, answer.text
    return answer.json


def job(**members: Any) -> dict[str, Any]:
    fields = {"name": "Chair", "price": 90, **members.pop("fields", {})}
    return {"kind": "video", "template_id": "card", "fields": fields, **members}


def spec_of(task_id: str) -> dict[str, Any]:
    with transaction() as session:
        return session.scalars(select(Job.spec).where(Job.id == uuid.UUID(task_id))).one()


def test_a_template_comes_back_as_it_was_put(client: Client) -> None:
    made = put(client)

    shown = client.get("/v1/templates/card")

    assert shown.json == made
    assert (made["version"], made["built_in"], made["script"]) == (1, False, CARD["script"])
    assert list(made["fields"]) == ["name", "price", "photo", "points"]


def test_every_version_is_kept(client: Client) -> None:
    put(client)
    put(client, body={**CARD, "title": "Second"})
    same = put(client, body={**CARD, "title": "Second"}, status=200)

    listed = client.get("/v1/templates/card/versions").json["data"]

    assert same["version"] == 2
    assert [(one["version"], one["title"]) for one in listed] == [(2, "Second"), (1, "Card")]
    assert client.get("/v1/templates/card?version=1").json["title"] == "Card"
    assert client.get("/v1/templates/card?version=3").status_code == 404


def test_version_numbers_continue_after_a_delete(client: Client) -> None:
    put(client)

    assert client.delete("/v1/templates/card").status_code == 204
    assert client.get("/v1/templates/card").status_code == 404
    assert client.get("/v1/templates/card/versions").status_code == 404
    assert client.delete("/v1/templates/card").status_code == 404
    assert put(client)["version"] == 2
    assert client.get("/v1/templates/card?version=1").status_code == 404


def test_concurrent_puts_get_different_versions(app: Flask, client: Client) -> None:
    statuses: list[int] = []

    def ask(title: str) -> None:
        headers = {"Authorization": f"Bearer {client.key}"}
        body = {**CARD, "title": title}
        statuses.append(app.test_client().put("/v1/templates/card", json=body, headers=headers).status_code)

    threads = [threading.Thread(target=ask, args=(str(number),)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [201] * 6
    numbers = [one["version"] for one in client.get("/v1/templates/card/versions").json["data"]]
    assert numbers == [6, 5, 4, 3, 2, 1]


def test_built_in_templates_are_listed_with_the_accounts(client: Client, stranger: Client) -> None:
    put(client, "card")
    put(stranger, "theirs")
    put(client, "quote", {**CARD, "title": "Mine"})

    first = client.get("/v1/templates?limit=3").json
    rest = client.get(f"/v1/templates?cursor={first['next_cursor']}").json

    listed = first["data"] + rest["data"]
    assert [one["template_id"] for one in listed] == sorted({*built_in(), "card"})
    assert {one["template_id"] for one in listed if not one["built_in"]} == {"card", "quote"}
    assert "script" not in listed[0]
    assert rest["next_cursor"] is None
    assert client.get("/v1/templates/quote").json["title"] == "Mine"
    assert stranger.get("/v1/templates/quote").json["built_in"] is True


def test_a_template_of_another_account_is_not_found(client: Client, stranger: Client) -> None:
    put(stranger)

    assert client.get("/v1/templates/card").status_code == 404
    assert client.delete("/v1/templates/card").status_code == 404
    assert client.post("/v1/jobs", json=job()).json["errors"] == [
        {"pointer": "#/template_id", "detail": "There is no such template. GET /v1/templates lists them."}
    ]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_changing_templates_needs_its_scope(client: Client, method: str) -> None:
    key = client.key_with("jobs:write")

    answer = client.ask(method, "/v1/templates/card", key=key, json=CARD)

    assert answer.status_code == 403
    assert client.get("/v1/templates", key=key).status_code == 200


def test_a_template_that_cannot_be_filled_is_refused(client: Client) -> None:
    body = {
        "fields": {"x": {"type": "string"}},
        "script": {"scenes": [{"duration": "{{x}}", "text": [{"text": "{{y}}"}]}]},
    }

    answer = client.ask("PUT", "/v1/templates/bad", json=body)

    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json["errors"]] == [
        "#/script/scenes/0/duration", "#/script/scenes/0/text/0/text",
    ]  # fmt: skip
    assert client.ask("PUT", "/v1/templates/b%20d", json=CARD).status_code == 422


def test_a_job_fills_a_template(client: Client) -> None:
    put(client)

    task = client.post("/v1/jobs", json=job(fields={"points": ["Light", "Strong"]})).json

    assert (task["template_id"], task["template_version"]) == ("card", 1)
    said = [scene["narration"]["text"] for scene in spec_of(task["task_id"])["script"]["scenes"]]
    assert said == ["Chair costs 90 euros.", "1: Light", "2: Strong"]


def test_a_job_keeps_its_templates_version(client: Client) -> None:
    put(client)
    before = client.job(job())
    put(
        client,
        body={**CARD, "script": {"scenes": [{"narration": "{{name}} {{price}} {{points}} {{photo}}"}]}},
    )

    old = client.job(job(template_version=1))
    new = client.job(job())
    client.delete("/v1/templates/card")

    versions = [client.get(f"/v1/tasks/{each}").json["template_version"] for each in (before, old, new)]
    assert versions == [1, 1, 2]
    assert spec_of(before)["script"] == spec_of(old)["script"]
    assert [len(spec_of(each)["script"]["scenes"]) for each in (before, new)] == [2, 1]


def test_an_unknown_version_is_reported(client: Client) -> None:
    put(client)

    answer = client.post("/v1/jobs", json=job(template_version=2))

    assert [each["pointer"] for each in answer.json["errors"]] == ["#/template_version"]


def test_invalid_fields_are_reported_by_name(client: Client) -> None:
    put(client)
    fields = {"price": "9", "colour": "red", "points": ["a", 7], "photo": "http://here/x.png"}

    answer = client.post("/v1/jobs", json={"kind": "video", "template_id": "card", "fields": fields})

    assert answer.status_code == 422
    assert {each["pointer"]: each["detail"] for each in answer.json["errors"]} == {
        "#/fields/name": "Missing.",
        "#/fields/price": "Must be a number from 0 to 1000.",
        "#/fields/colour": "The template declares no such field.",
        "#/fields/points/1": "Must be a string.",
        "#/fields/photo": "Must be asset:ID or an https URL.",
    }


def test_a_value_is_never_syntax_whatever_it_contains(client: Client) -> None:
    put(client)
    name = '"}, {{price}} {{x}} \\n <b> ${a}'

    task_id = client.job(job(fields={"name": name}))

    assert spec_of(task_id)["script"]["scenes"][0]["narration"]["text"] == f"{name} costs 90 euros."


def test_a_fields_asset_is_locked_and_a_missing_one_is_reported(client: Client) -> None:
    put(client)
    asset_id = client.asset()

    task_id = client.job(job(fields={"photo": f"asset:{asset_id}"}))
    answer = client.post("/v1/jobs", json=job(fields={"photo": f"asset:{uuid.uuid4()}"}))

    with transaction() as session:
        (use,) = session.scalars(select(JobAsset).where(JobAsset.job_id == uuid.UUID(task_id)))
    assert str(use.asset_id) == asset_id
    assert answer.json["errors"] == [
        {
            "pointer": "#/fields/photo",
            "detail": "This account has no such asset. GET /v1/assets lists its assets.",
        }
    ]


def test_a_batch_fills_a_template_per_job(client: Client) -> None:
    put(client)
    rows = [{"fields": {"price": 1, "name": "A"}}, {"fields": {"name": "B"}}]
    defaults = {"kind": "video", "template_id": "card", "fields": {"price": 7}}

    batch = client.post("/v1/batch", json={"defaults": defaults, "jobs": rows}).json
    bad = client.post(
        "/v1/batch",
        json={"defaults": defaults, "jobs": [*rows, {"fields": {}}, {"fields": {"name": 3, "price": -1}}]},
    ).json

    said = [spec_of(each)["script"]["scenes"][0]["narration"]["text"] for each in batch["task_ids"]]
    assert said == ["A costs 1 euros.", "B costs 7 euros."]
    assert [each["pointer"] for each in bad["errors"]] == [
        "#/jobs/2/fields/name", "#/jobs/3/fields/name", "#/jobs/3/fields/price",
    ]  # fmt: skip


def test_an_unknown_voice_is_reported_by_its_field(client: Client) -> None:
    script = {"scenes": [{"narration": {"text": "{{name}}", "voice": {"name": "{{who}}"}}}]}
    word = {"type": "string", "max_length": 40}
    put(client, "said", {"script": script, "fields": {"name": word, "who": word}})
    asked = {"kind": "video", "template_id": "said"}

    taken, refused = (
        client.post("/v1/jobs", json={**asked, "fields": {"name": "A", "who": who}})
        for who in ("en-gb", "nobody")
    )

    assert taken.status_code == 202
    assert [each["pointer"] for each in refused.json["errors"]] == ["#/fields/who"]


def test_a_dry_run_fills_the_template_too(client: Client) -> None:
    put(client)

    good = client.post("/v1/jobs?dry_run=true", json=job()).json
    bad = client.post("/v1/jobs?dry_run=true", json=job(fields={"price": -1})).json

    assert [scene["id"] for scene in good["timeline"]] == ["scene-1", "scene-2"]
    assert (bad["valid"], [each["pointer"] for each in bad["errors"]]) == (False, ["#/fields/price"])
