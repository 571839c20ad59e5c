"""The forms of a batch: JSON, a job a line, a table with a template."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from shared.db import transaction
from shared.models import Job
from tests.integration.api.conftest import HELLO

if TYPE_CHECKING:
    from tests.integration.api.conftest import Client

pytestmark = pytest.mark.services

TABLE = """custom_id,name,price
a,Tea,3 €
b,"Coffee, black",4 €
"""


def test_ndjson_has_a_job_per_line(client: Client) -> None:
    lines = "\n".join(json.dumps({**HELLO, "custom_id": str(number)}) for number in range(3))

    answer = client.post("/v1/batch", data=lines, content_type="application/x-ndjson")
    broken = client.post(
        "/v1/batch?on_invalid=skip", data=lines + "\n{oops\n", content_type="application/x-ndjson"
    )

    assert answer.status_code == 202
    assert answer.json["counts"]["queued"] == 3
    assert [one["index"] for one in broken.json["skipped"]] == [3]


def test_csv_fills_a_template(client: Client) -> None:
    template = {
        "fields": {"name": {"type": "string"}, "price": {"type": "string"}},
        "script": {"scenes": [{"narration": "{{name}} for {{price}}."}]},
    }
    assert client.ask("PUT", "/v1/templates/card", json=template).status_code == 201

    answer = client.post("/v1/batch?template_id=card", data=TABLE, content_type="text/csv")

    assert answer.status_code == 202
    with transaction() as session:
        rows = {
            row.custom_id: row
            for row in session.scalars(select(Job).where(Job.account_id == client.account_id))
        }
    assert [str(rows[name].id) for name in "ab"] == answer.json["task_ids"]
    assert rows["b"].spec["script"]["scenes"][0]["narration"]["text"] == "Coffee, black for 4 €."
    assert (rows["a"].template_id, rows["a"].template_version) == ("card", 1)


def test_csv_errors_name_row_and_column(client: Client) -> None:
    template = {
        "fields": {"name": {"type": "string", "max_length": 5}},
        "script": {"scenes": [{"narration": "{{name}}."}]},
    }
    client.ask("PUT", "/v1/templates/short", json=template)

    wrong = client.post(
        "/v1/batch?template_id=short", data="name\nTea\nMuch too long\na,b\n", content_type="text/csv"
    )
    nowhere = client.post("/v1/batch?template_id=none-such", data=TABLE, content_type="text/csv")
    without = client.post("/v1/batch", data=TABLE, content_type="text/csv")

    assert {error["pointer"] for error in wrong.json["errors"]} == {"#/jobs/1/fields/name", "#/jobs/2"}
    assert nowhere.json["errors"][0]["pointer"] == without.json["errors"][0]["pointer"] == "#/template_id"


def test_an_overlong_cell_is_an_error_of_its_row_only(client: Client) -> None:
    template = {
        "fields": {"name": {"type": "string", "max_length": 5}},
        "script": {"scenes": [{"narration": "{{name}}."}]},
    }
    client.ask("PUT", "/v1/templates/brief", json=template)

    answer = client.post(
        "/v1/batch?template_id=brief&on_invalid=skip",
        data="name\n" + "x" * 200_000 + "\nTea\n",
        content_type="text/csv",
    )

    assert (answer.status_code, answer.json["counts"]["queued"]) == (202, 1)
    assert [one["index"] for one in answer.json["skipped"]] == [0]
    assert answer.json["skipped"][0]["errors"][0]["pointer"] == "#/jobs/0/fields/name"


@pytest.mark.parametrize(
    "query", ["?template_id=x", "?webhook=https://example.org/", "?on_invalid=skip", "?bogus=1"]
)
def test_a_json_batch_takes_no_query_options(client: Client, query: str) -> None:
    assert client.post(f"/v1/batch{query}", json={"jobs": [HELLO]}).status_code == 422


@pytest.mark.parametrize("form", ["text/plain", "application/xml"])
def test_another_media_type_is_refused(client: Client, form: str) -> None:
    assert client.post("/v1/batch", data="x", content_type=form).status_code == 415
