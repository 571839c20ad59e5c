"""The types of the client say what the API's OpenAPI document says, no less and no more."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from api.app import create_app
from scenemill import types
from scenemill.calls import accounts, webhooks
from scenemill.types.value import decode
from shared.settings import Settings
from tests.unit.client.shapes import Comparison

if TYPE_CHECKING:
    from collections.abc import Callable

REQUESTS: dict[tuple[str, str], Any] = {
    ("post", "/v1/jobs"): types.Job,
    ("post", "/v1/dry-runs"): types.Job,
    ("post", "/v1/batch"): types.BatchRequest,
    ("put", "/v1/templates/{template_id}"): types.TemplateDocument,
    ("post", "/v1/api-keys"): types.KeyRequest,
    ("post", "/v1/admin/accounts/{account_id}/keys"): types.KeyRequest,
    ("post", "/v1/admin/accounts"): types.NewAccount,
    ("put", "/v1/admin/accounts/{account_id}"): types.AccountChange,
    ("post", "/v1/admin/accounts/{account_id}/users"): types.NewUser,
    ("put", "/v1/admin/users/{user_id}"): types.UserChange,
    ("post", "/v1/auth/token"): types.TokenRequest,
}
# Bodies whose members are arguments of a call.
ARGUMENTS: dict[tuple[str, str], Callable[..., Any]] = {
    ("post", "/v1/auth/refresh"): accounts.refresh_token,
    ("post", "/v1/auth/revoke"): accounts.revoke_token,
    ("post", "/v1/webhook-secret"): webhooks.rotate_secret,
}
ANSWERS: dict[tuple[str, str, str], Any] = {
    ("post", "/v1/jobs", "202"): types.Task,
    ("post", "/v1/jobs", "200"): types.DryRun,
    ("post", "/v1/dry-runs", "200"): types.DryRun,
    ("get", "/v1/tasks", "200"): types.Task,
    ("get", "/v1/tasks/{task_id}", "200"): types.Task,
    ("post", "/v1/tasks/{task_id}/cancel", "202"): types.Task,
    ("post", "/v1/tasks/{task_id}/retry", "202"): types.Task,
    ("post", "/v1/batch", "202"): types.AcceptedBatch,
    ("get", "/v1/batch/{batch_id}", "200"): types.Batch,
    ("get", "/v1/batch/{batch_id}/tasks", "200"): types.Task,
    ("post", "/v1/batch/{batch_id}/cancel", "202"): types.Batch,
    ("post", "/v1/batch/{batch_id}/retry", "202"): types.Batch,
    ("post", "/v1/assets", "201"): types.Asset,
    ("get", "/v1/assets", "200"): types.Asset,
    ("get", "/v1/assets/{asset_id}", "200"): types.Asset,
    ("post", "/v1/uploads", "201"): types.Upload,
    ("post", "/v1/auth/token", "200"): types.TokenResponse,
    ("post", "/v1/auth/refresh", "200"): types.TokenResponse,
    ("get", "/v1/api-keys", "200"): types.ApiKey,
    ("post", "/v1/api-keys", "201"): types.NewApiKey,
    ("get", "/v1/webhook-deliveries", "200"): types.Delivery,
    ("get", "/v1/webhook-deliveries/{delivery_id}", "200"): types.Delivery,
    ("post", "/v1/webhook-deliveries/{delivery_id}/resend", "202"): types.Delivery,
    ("get", "/v1/webhook-secret", "200"): types.WebhookSecret,
    ("post", "/v1/webhook-secret", "201"): types.WebhookSecret,
    ("get", "/v1/themes", "200"): types.Theme,
    ("get", "/v1/voices", "200"): types.Voice,
    ("get", "/v1/templates", "200"): types.TemplateSummary,
    ("get", "/v1/templates/{template_id}", "200"): types.Template,
    ("put", "/v1/templates/{template_id}", "201"): types.Template,
    ("put", "/v1/templates/{template_id}", "200"): types.Template,
    ("get", "/v1/templates/{template_id}/versions", "200"): types.TemplateSummary,
    ("get", "/v1/usage", "200"): types.UsageReport,
    ("get", "/v1/admin/accounts", "200"): types.Account,
    ("post", "/v1/admin/accounts", "201"): types.Account,
    ("put", "/v1/admin/accounts/{account_id}", "200"): types.Account,
    ("post", "/v1/admin/accounts/{account_id}/keys", "201"): types.NewApiKey,
    ("get", "/v1/admin/audit-events", "200"): types.AuditEvent,
    ("get", "/v1/admin/queues", "200"): types.QueueReport,
    ("get", "/v1/admin/accounts/{account_id}/users", "200"): types.User,
    ("post", "/v1/admin/accounts/{account_id}/users", "201"): types.UserWithPassword,
    ("put", "/v1/admin/users/{user_id}", "200"): types.User,
    ("post", "/v1/admin/users/{user_id}/one-time-password", "200"): types.UserWithPassword,
}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    nowhere = "127.0.0.1:1"  # the document is made without a server
    app = create_app(
        Settings(
            database_url=f"postgresql+psycopg2://nobody@{nowhere}/none",
            broker_url=f"redis://{nowhere}/0",
            redis_url=f"redis://{nowhere}/0",
            storage_url=str(tmp_path_factory.mktemp("storage")),
        )
    )
    found: dict[str, Any] = app.extensions["openapi"].to_dict()
    return found


def json_of(content: dict[str, Any]) -> dict[str, Any] | None:
    schema: dict[str, Any] | None = content.get("application/json", {}).get("schema")
    return schema


def bodies(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method, path): schema
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method != "parameters" and (schema := json_of(operation.get("requestBody", {}).get("content", {})))
    }


def answers(document: dict[str, Any]) -> dict[tuple[str, str, str], dict[str, Any]]:
    return {
        (method, path, status): schema
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
        for status, answer in operation["responses"].items()
        if status.startswith("2") and (schema := json_of(answer.get("content", {})))
    }


def entries(document: dict[str, Any], schema: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """Return the name of a list, if the schema is one, and the schema of its entries, or the schema itself."""
    name = schema.get("$ref", "").rpartition("/")[2]
    properties = document["components"]["schemas"].get(name, {}).get("properties", {})
    if "data" in properties and properties.keys() <= {"data", "next_cursor"}:
        return name, properties["data"]["items"]
    return None, schema


def test_every_json_body_and_answer_has_a_type(document: dict[str, Any]) -> None:
    assert bodies(document).keys() == {*REQUESTS, *ARGUMENTS}
    assert answers(document).keys() == ANSWERS.keys()


@pytest.mark.parametrize("operation", REQUESTS, ids=" ".join)
def test_what_is_sent_has_every_property_of_its_schema(
    document: dict[str, Any], operation: tuple[str, str]
) -> None:
    differences = Comparison(document).differences(bodies(document)[operation], REQUESTS[operation])

    assert not differences, "\n".join(differences)


@pytest.mark.parametrize("operation", ANSWERS, ids=" ".join)
def test_what_comes_back_has_every_property_of_its_schema(
    document: dict[str, Any], operation: tuple[str, str, str]
) -> None:
    _, schema = entries(document, answers(document)[operation])

    differences = Comparison(document).differences(schema, ANSWERS[operation])

    assert not differences, "\n".join(differences)


@pytest.mark.parametrize("operation", ARGUMENTS, ids=" ".join)
def test_arguments_are_the_members_of_a_body(document: dict[str, Any], operation: tuple[str, str]) -> None:
    name = bodies(document)[operation]["$ref"].rpartition("/")[2]
    parameters = set(inspect.signature(ARGUMENTS[operation]).parameters) - {"idempotency_key"}

    assert parameters == document["components"]["schemas"][name]["properties"].keys()


def test_no_schema_is_left_out(document: dict[str, Any]) -> None:
    comparison = Comparison(document)
    lists = set()
    for operation, hint in REQUESTS.items():
        comparison.differences(bodies(document)[operation], hint)
    for answer, hint in ANSWERS.items():
        name, schema = entries(document, answers(document)[answer])
        lists.add(name)
        comparison.differences(schema, hint)
    named = {bodies(document)[operation]["$ref"].rpartition("/")[2] for operation in ARGUMENTS}

    assert document["components"]["schemas"].keys() - comparison.seen - lists - named == set()


@pytest.mark.parametrize(
    ("schema", "hint"),
    [
        pytest.param({"type": "integer"}, float, id="another JSON type"),
        pytest.param({"type": ["string", "null"]}, str, id="may be null"),
        pytest.param({"type": "string", "enum": ["a", "b"]}, types.Kind, id="other choices"),
        pytest.param({"type": "array", "items": {"type": "string"}}, list[int], id="other items"),
        pytest.param(
            {"properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}, "more": {"type": "string"}}},
            types.WrongPlace,
            id="a property more",
        ),
        pytest.param({"properties": {"pointer": {"type": "string"}}}, types.WrongPlace, id="a property less"),
        pytest.param({"properties": {"name": {"type": "string"}, "scopes": {"type": "array"}}}, types.KeyRequest,
                     id="not required"),
    ],
)  # fmt: skip
def test_a_difference_is_found(document: dict[str, Any], schema: dict[str, Any], hint: Any) -> None:
    assert Comparison(document).differences(schema, hint)


def test_an_answer_of_a_newer_server_keeps_what_is_unknown() -> None:
    body = {
        "task_id": "t1",
        "kind": "hologram",
        "status": "succeeded",
        "colour": "green",
        "created_at": "2026-01-31T12:00:00Z",
        "result": {
            "artifacts": [{"name": "a", "url": "u", "media_type": "m", "bytes": 1, "sha256": "s", "x": 1}]
        },
    }

    task = decode(types.Task, body)

    assert task.finished
    assert task.raw["colour"] == "green"
    assert task.created_at is not None
    assert task.created_at.year == 2026
    assert task.artifact("a").bytes == 1
    assert task.artifact("a").raw["x"] == 1


def test_an_answer_that_lacks_what_makes_it_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks task_id, kind"):
        decode(types.Task, {"status": "queued"})
