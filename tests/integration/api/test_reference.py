"""Probes, metrics, the OpenAPI document and the reference."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from api.app import create_app
from api.http.problem_documents import problem_for_status
from shared.accounts import SCOPES
from shared.errors import ServiceError
from tests.integration.api.conftest import HELLO
from workers.local.ports import free_port

if TYPE_CHECKING:
    from flask import Flask

    from shared.settings import Settings
    from tests.integration.api.conftest import Client

pytestmark = pytest.mark.services


def test_livez_answers(app: Flask) -> None:
    assert app.test_client().get("/livez").status_code == 200


def test_readyz_reports_each_service(app: Flask) -> None:
    answer = app.test_client().get("/readyz")

    assert answer.status_code == 200
    assert {name: one["status"] for name, one in answer.json["checks"].items()} == {
        "postgres": "ok", "redis": "ok", "storage": "ok",
    }  # fmt: skip


def test_readyz_reports_an_unreachable_redis(config: Settings) -> None:
    away = config.model_copy(update={"redis_url": f"redis://127.0.0.1:{free_port()}/0"})

    answer = create_app(away).test_client().get("/readyz")

    assert answer.status_code == 503
    assert answer.mimetype == "application/problem+json"
    assert answer.json["checks"]["redis"]["status"] == "unreachable"
    assert answer.json["checks"]["postgres"]["status"] == "ok"
    assert "Retry-After" in answer.headers


def test_requests_are_counted_by_route(app: Flask, client: Client) -> None:
    client.get(f"/v1/tasks/{client.job()}")

    text = app.test_client().get("/metrics").text

    assert re.search(
        r'scenemill_api_http_request_duration_seconds_count\{.*route="/v1/tasks/<uuid:task_id>"', text
    )
    assert re.search(r'scenemill_jobs_accepted_total\{kind="video"\} [1-9]', text)
    assert "scenemill_jobs_unfinished" in text


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    found: dict[str, Any] = app.test_client().get("/openapi.json").json
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
    ]


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_the_openapi_document_has_exactly_the_routes(app: Flask, document: dict[str, Any]) -> None:
    routes = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"OPTIONS"} - ({"HEAD"} if "GET" in rule.methods else set())
        if rule.rule.startswith("/v1/")
    }

    assert {(method, path) for method, path, _ in operations(document)} == routes


CREATING = {
    ("post", f"/v1/{path}")
    for path in (
        "jobs", "batch", "assets", "uploads", "api-keys", "webhook-secret", "admin/accounts", "admin/accounts/{account_id}/keys",
        "admin/accounts/{account_id}/users",
    )
}  # fmt: skip


def test_every_operation_documents_security_errors_and_headers(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        scope = operation.get("x-scope")
        public = {"/v1/auth/": [{}, {"apiKeyAsClient": []}], "/v1/links/": [{}]}
        keys = [{"apiKey": []}, {"oauth2": [scope] if scope else []}]
        security = next((value for prefix, value in public.items() if path.startswith(prefix)), keys)
        assert operation["security"] == security, path
        assert operation["summary"], path
        refusals = {"429", "503"} | ({"401"} if security is keys else set())
        assert refusals <= operation["responses"].keys(), path
        assert operation.get("x-scope") in (*SCOPES, None)
        problem = operation["responses"]["429"]["content"]
        assert problem["application/problem+json"]["schema"]["$ref"].endswith("/Problem")
        for response in operation["responses"].values():
            assert "X-Request-ID" in response["headers"], path
        creates = (method, path) in CREATING
        names = [parameter["name"] for parameter in operation.get("parameters", [])]
        assert ("Idempotency-Key" in names) is creates, path


def test_the_document_describes_what_a_job_is(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    assert schemas["Script"]["properties"]["scenes"]["maxItems"] == 500
    assert schemas["Job"]["additionalProperties"] is False
    assert schemas["Job"]["required"] == ["kind"]


def test_a_response_matches_the_openapi_document(client: Client, document: dict[str, Any]) -> None:
    schema = {"$ref": "#/components/schemas/Task", "components": document["components"]}
    validator = Draft202012Validator(schema)

    validator.validate(client.post("/v1/jobs", json=HELLO).json)


class Links(HTMLParser):
    """Collects what a page would load and where it leads."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.targets: set[str] = set()
        self.ids: set[str] = set()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.add(tag)
        self.ids.add(values.get("id") or "")
        if tag == "a":
            self.targets.add(values["href"] or "")
        else:
            self.loads += [values[name] or "" for name in ("src", "href") if name in values]


def test_the_reference_is_complete_and_self_contained(app: Flask, document: dict[str, Any]) -> None:
    answer = app.test_client().get("/docs")
    page = Links()
    page.feed(answer.text)

    assert answer.status_code == 200
    assert page.loads == ["/docs/docs.css"]
    assert not page.tags & {"script", "iframe", "object"}
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert {target[1:] for target in page.targets if target.startswith("#")} <= page.ids
    for _, path, operation in operations(document):
        assert path in answer.text
        assert operation["summary"].replace("`", "") in re.sub("</?code>", "", answer.text).replace(
            "&#39;", "'"
        )
    assert app.test_client().get("/docs/docs.css", buffered=True).mimetype == "text/css"


def descendants(base: type[ServiceError]) -> set[type[ServiceError]]:
    return {base}.union(*(descendants(each) for each in base.__subclasses__()))


def test_every_type_of_problem_is_explained(app: Flask) -> None:
    codes = {each.code for each in descendants(ServiceError)} | {
        "method-not-allowed",
        "too-fast",
        "too-many-at-once",
        "not-ready",
        *(problem_for_status(status)["code"] for status in HTTPStatus if status >= 400),
    }

    for code in codes:
        assert app.test_client().get(f"/problems/{code}").status_code == 200, code
    assert app.test_client().get("/problems/none").status_code == 404


def test_themes_and_voices_are_listed(client: Client) -> None:
    assert "slate" in [one["name"] for one in client.get("/v1/themes").json["data"]]
    assert "en-us" in [one["name"] for one in client.get("/v1/voices").json["data"]]


def test_voices_are_filtered_by_language(client: Client) -> None:
    portuguese = client.get("/v1/voices?language=pt").json["data"]

    assert {one["name"] for one in portuguese} == {"pt", "pt-br"}
    assert client.get("/v1/voices?language=english!").status_code == 422
    assert client.get("/v1/voices?lang=pt").status_code == 422
