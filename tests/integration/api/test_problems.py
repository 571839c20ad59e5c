"""Whatever goes wrong is a problem document, with the headers that every answer has."""

from __future__ import annotations

import io
import json
import re
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.app import create_app
from tests.integration.api.conftest import HELLO

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

    from shared.settings import Settings
    from tests.integration.api.conftest import Client

pytestmark = pytest.mark.services


def check(answer: TestResponse, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    problem: dict[str, Any] = json.loads(answer.data)
    assert {"type", "title", "status", "detail", "instance", "request_id"} <= problem.keys()
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert float(answer.headers["X-Process-Time"]) >= 0
    assert answer.headers["Server-Timing"].startswith("total;dur=")
    return problem


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/%C3%BC%20%7B", 404),
        ("GET", "/v1", 404), ("GET", "/v1/nothing", 404), ("GET", "/v1/tasks/42", 404),
        ("POST", "/v2/jobs", 404), ("GET", "/%00", 404), ("PUT", "/v1/jobs", 405), ("DELETE", "/v1/tasks", 405),
        ("POST", "/livez", 405), ("GET", "/v1/tasks", 401), ("POST", "/v1/jobs", 401), ("GET", "/v1/themes", 401),
    ],
)  # fmt: skip
def test_an_error_is_a_problem_document(app: Flask, method: str, path: str, status: int) -> None:
    answer = app.test_client().open(path, method=method)

    problem = check(answer, status)

    assert problem["instance"] == path
    if status == 405:
        assert answer.headers["Allow"]
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def operations(app: Flask) -> list[tuple[str, str, dict[str, Any]]]:
    document = app.test_client().get("/openapi.json").json
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
    ]


def test_every_route_refuses_unknown_parameters(app: Flask, client: Client) -> None:
    for method, path, operation in operations(app):
        place = re.sub(r"{\w+}", str(uuid.uuid4()), path.replace("{expires}", "1"))
        headers = {"Tus-Resumable": "1.0.0"}

        answer = client.ask(method, f"{place}?colour=red", headers=headers)

        of_oauth = path.startswith("/v1/auth/")
        assert answer.status_code == (400 if of_oauth else 422), (method, path, answer.text)
        assert str(answer.status_code) in operation["responses"], (method, path)
        if method != "HEAD":
            problem = check(answer, answer.status_code)
            assert [error["pointer"] for error in problem["errors"]] == ["#/colour"], (method, path)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/jobs", "/v1/jobs"), ("/tasks?limit=1&q=%20x", "/v1/tasks?limit=1&q=%20x"),
        ("/tasks/5f0a7b3e-0000-4000-8000-000000000000/artifacts/video.mp4",
         "/v1/tasks/5f0a7b3e-0000-4000-8000-000000000000/artifacts/video.mp4"),
    ],
)  # fmt: skip
def test_a_path_without_version_is_redirected(app: Flask, path: str, target: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = app.test_client().open(path, method=method)

        assert (answer.status_code, answer.headers["Location"]) == (308, target)


@pytest.mark.parametrize("path", ["/nothing", "/v1/v1/jobs", "/tasks/42", "/v1//tasks"])
def test_no_other_path_is_redirected(app: Flask, path: str) -> None:
    # As the server sees it: the test client would take the path of "//tasks" for a host.
    assert app.test_client().get("/", environ_overrides={"PATH_INFO": path}).status_code == 404


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        pytest.param(b'{"kind": "video",}', "application/json", 400, id="broken"),
        pytest.param(b"", "application/json", 400, id="empty"),
        pytest.param(b'{"a": 1, "a": 2}', "application/json", 400, id="twice"),
        pytest.param(b'{"a": NaN}', "application/json", 400, id="NaN"),
        pytest.param(b"\xff\xfe", "application/json", 400, id="not UTF-8"),
        pytest.param(b"[" * 100_000, "application/json", 413, id="deep"),
        pytest.param(b'{"a":' * 500 + b"1" + b"}" * 500, "application/json", 413, id="deep and whole"),
        pytest.param(b"[]", "application/json", 422, id="list"),
        pytest.param(b'"video"', "application/json", 422, id="string"),
        pytest.param(b"null", "application/json", 422, id="null"),
        pytest.param(json.dumps(HELLO).encode(), "text/plain", 415, id="text"),
        pytest.param(json.dumps(HELLO).encode(), None, 415, id="no type"),
        pytest.param(json.dumps(HELLO).encode(), "multipart/form-data; boundary=x", 415, id="form"),
    ],
)
def test_a_body_that_is_not_a_json_object_is_refused(
    client: Client, body: bytes, content_type: str | None, status: int
) -> None:
    for path in ("/v1/jobs", "/v1/batch", "/v1/api-keys"):
        check(client.post(path, data=body, content_type=content_type), status)


def test_malformed_json_is_reported_with_its_position(client: Client) -> None:
    answer = client.post("/v1/jobs", data=b'{\n "kind": }', content_type="application/json")

    assert "line 2, column 10" in check(answer, 400)["detail"]


def test_an_encoded_body_is_refused(client: Client) -> None:
    check(client.post("/v1/jobs", json=HELLO, headers={"Content-Encoding": "gzip"}), 415)


def test_a_body_of_unknown_length_is_refused_at_the_limit(client: Client, config: Settings) -> None:
    answer = client.post(
        "/v1/jobs",
        input_stream=io.BytesIO(b" " * (config.max_body_bytes + 10)),
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True},
    )

    check(answer, 413)


def test_all_errors_are_listed_at_once(client: Client) -> None:
    script = {
        "scenes": [
            {"id": "a", "narration": 1},
            {"id": "a", "duration": "3"},
            {"visual": {"type": "image"}, "x/y": 1},
        ]
    }

    problem = check(client.post("/v1/jobs", json={"kind": "video", "script": script, "extra": 1}), 422)

    assert {error["pointer"] for error in problem["errors"]} == {
        "#/extra", "#/script/scenes/0/narration", "#/script/scenes/1/duration", "#/script/scenes/1/id",
        "#/script/scenes/2/visual/src", "#/script/scenes/2/x~1y",
    }  # fmt: skip


def test_an_unexpected_error_reveals_only_its_request_id(
    config: Settings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(config)

    def surprise() -> None:
        raise RuntimeError("secret /etc/passwd")

    app.view_functions["health.live"] = surprise

    problem = check(app.test_client().get("/livez"), 500)

    assert "secret" not in json.dumps(problem)


@pytest.mark.parametrize("given_id", ["abc-123", "a" * 128, "00-trace/1:2@x"])
def test_a_valid_request_id_is_kept(app: Flask, given_id: str) -> None:
    answer = app.test_client().get("/livez", headers={"X-Request-ID": given_id})

    assert answer.headers["X-Request-ID"] == given_id


@pytest.mark.parametrize("given_id", ["", "a" * 129, "a b", "ü", '"x"', "a\tb", "<script>"])
def test_an_invalid_request_id_is_replaced(app: Flask, given_id: str) -> None:
    answer = app.test_client().get("/livez", headers={"X-Request-ID": given_id})

    assert answer.headers["X-Request-ID"] != given_id
    assert len(answer.headers["X-Request-ID"]) == 32


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["kind", "script", "scenes", "brief", "output", "visual", "type", "src", "jobs", "defaults", "name"])
        | st.text(max_size=8), inner, max_size=5,
    ),
    max_leaves=25,
)  # fmt: skip


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=JSON, path=st.sampled_from(["/v1/jobs", "/v1/batch", "/v1/api-keys"]))
def test_no_json_causes_an_unexpected_error(client: Client, body: Any, path: str) -> None:
    answer = client.post(path, data=json.dumps(body), content_type="application/json")

    assert answer.status_code in (201, 202, 400, 422), answer.text


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["limit", "cursor", "status", "kind", "q", "created_after", "batch_id", "wait"]),
    value=st.text(max_size=30),
)
def test_no_query_causes_an_unexpected_error(client: Client, name: str, value: str) -> None:
    answer = client.get("/v1/tasks", query_string={name: value})

    assert answer.status_code in (200, 422), answer.text


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(
        [
            "Authorization",
            "Idempotency-Key",
            "Range",
            "If-None-Match",
            "X-Request-ID",
            "traceparent",
            "If-Range",
        ]
    ),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40),
)
def test_no_header_causes_an_unexpected_error(client: Client, name: str, value: str) -> None:
    answer = client.post("/v1/jobs", json=HELLO, headers={name: value})

    assert answer.status_code in (202, 400, 401, 422), answer.text
