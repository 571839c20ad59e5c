"""/v1/assets."""

from __future__ import annotations

import hashlib
import io
import uuid
from typing import TYPE_CHECKING

import pytest

from api.app import create_app
from tests.integration.api.conftest import new_client, picture

if TYPE_CHECKING:
    from pathlib import Path

    from shared.settings import Settings
    from tests.integration.api.conftest import Client

pytestmark = pytest.mark.services


def files(folder: Path) -> int:
    return sum(1 for path in folder.rglob("*") if path.is_file())


def uses(asset_id: str) -> dict[str, object]:
    visual = {"type": "image", "src": f"asset:{asset_id}"}
    return {"kind": "video", "script": {"scenes": [{"duration": 1, "visual": visual}]}}


@pytest.mark.parametrize(
    "kind", ["application/octet-stream", "text/html", "application/x-www-form-urlencoded", None]
)
def test_a_raw_bodys_type_is_detected_from_its_bytes(client: Client, kind: str | None) -> None:
    data = picture(640, 360, "JPEG")

    answer = client.post("/v1/assets", data=data, content_type=kind)

    assert answer.status_code == 201
    facts = answer.json
    assert answer.headers["Location"] == f"/v1/assets/{facts['asset_id']}"
    assert facts["kind"] == "image"
    assert facts["media_type"] == "image/jpeg"
    assert facts["bytes"] == len(data)
    assert facts["sha256"] == hashlib.sha256(data).hexdigest()
    assert (facts["width"], facts["height"]) == (640, 360)
    assert facts["has_audio"] is False
    assert client.get(answer.headers["Location"]).json == facts
    assert client.get(f"{answer.headers['Location']}/content").data == data


def test_a_form_has_one_file(client: Client) -> None:
    data = picture()

    answer = client.post("/v1/assets", data={"file": (io.BytesIO(data), "../../x.exe", "text/html")})

    assert answer.status_code == 201
    assert answer.json["sha256"] == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(b"no form at all", "multipart/form-data; boundary=x", id="malformed"),
        pytest.param(b"", "multipart/form-data", id="no boundary"),
        pytest.param(b'--x\r\nContent-Disposition: form-data; name="other"; filename="f"\r\n\r\nabc\r\n--x--\r\n',
                     "multipart/form-data; boundary=x", id="other name"),
        pytest.param(b"--x--\r\n", "multipart/form-data; boundary=x", id="no part"),
        pytest.param(b"--x\r\nContent-Type: a\r\n\r\nabc\r\n--x--\r\n", "multipart/form-data; boundary=x", id="no name"),
    ],
)  # fmt: skip
def test_a_form_without_its_file_is_refused(
    client: Client, stored: Path, body: bytes, content_type: str
) -> None:
    before = files(stored)

    answer = client.post("/v1/assets", data=body, content_type=content_type)

    assert answer.status_code == 400
    assert files(stored) == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"", 415, id="nothing"),
        pytest.param(b"#EXTM3U\nhttp://example.org/a.ts", 415, id="playlist"),
        pytest.param(b'<svg xmlns="http://www.w3.org/2000/svg"/>', 415, id="svg"),
        pytest.param(b"ffconcat version 1.0\nfile /etc/passwd", 415, id="concat list"),
        pytest.param(b"%PDF-1.7", 415, id="pdf"),
        pytest.param(picture()[:40], 422, id="broken picture"),
    ],
)
def test_an_unsupported_type_is_refused_and_leaves_nothing(
    client: Client, stored: Path, body: bytes, status: int
) -> None:
    before = files(stored)

    answer = client.post("/v1/assets", data=body, content_type="image/png")

    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert files(stored) == before
    assert client.get("/v1/assets").json["data"] == []


def test_a_file_over_the_limit_is_refused_and_leaves_nothing(config: Settings, stored: Path) -> None:
    data = picture() + bytes(200_000)
    small = new_client(create_app(config.model_copy(update={"max_asset_bytes": 100_000})))
    before = files(stored)

    told = small.post("/v1/assets", data=data)
    untold = small.post(
        "/v1/assets", input_stream=io.BytesIO(data), environ_overrides={"wsgi.input_terminated": True}
    )
    form = small.post("/v1/assets", data={"file": (io.BytesIO(data), "x.png")})

    assert [told.status_code, untold.status_code, form.status_code] == [413, 413, 413]
    assert files(stored) == before


def test_the_same_bytes_are_stored_once(client: Client, stranger: Client, stored: Path) -> None:
    data = picture(33, 44)
    before = files(stored)
    first, second = client.asset(data), client.asset(data)
    assert first != second
    assert files(stored) == before + 1

    assert stranger.asset(data) not in (first, second)
    assert files(stored) == before + 2
    client.delete(f"/v1/assets/{first}")

    assert client.get(f"/v1/assets/{second}/content").data == data
    client.delete(f"/v1/assets/{second}")
    assert files(stored) == before + 1


def test_an_asset_is_created_once_per_idempotency_key(client: Client, stored: Path) -> None:
    data = picture(21, 22)
    first = client.post("/v1/assets", data=data, headers={"Idempotency-Key": "up"})
    before = files(stored)

    again = client.post("/v1/assets", data=data, headers={"Idempotency-Key": "up"})
    other = client.post("/v1/assets", data=picture(23, 24), headers={"Idempotency-Key": "up"})

    assert again.json == first.json
    assert again.headers["Idempotent-Replayed"] == "true"
    assert other.status_code == 422
    assert files(stored) == before
    assert len(client.get("/v1/assets").json["data"]) == 1


def test_an_asset_in_use_stays_until_the_task_has_ended(client: Client) -> None:
    asset_id = client.asset()
    task_id = client.job(uses(asset_id))
    assert client.delete(f"/v1/assets/{asset_id}").status_code == 409

    client.post(f"/v1/tasks/{task_id}/cancel")

    assert client.delete(f"/v1/assets/{asset_id}").status_code == 204
    assert client.get(f"/v1/assets/{asset_id}").status_code == 404
    assert client.post("/v1/jobs", json=uses(asset_id)).status_code == 422


def test_an_asset_of_another_account_is_not_found(client: Client, stranger: Client) -> None:
    path = f"/v1/assets/{stranger.asset()}"

    assert client.get(path).status_code == 404
    assert client.get(f"{path}/content").status_code == 404
    assert client.delete(path).status_code == 404
    assert client.get(f"/v1/assets/{uuid.uuid4()}").status_code == 404


def test_assets_are_listed_newest_first(client: Client) -> None:
    ids = [client.asset(picture(20 + number)) for number in range(3)]

    first = client.get("/v1/assets?limit=2").json
    second = client.get(f"/v1/assets?cursor={first['next_cursor']}").json

    assert [one["asset_id"] for one in first["data"] + second["data"]] == ids[::-1]
    assert second["next_cursor"] is None


def test_content_is_sent_in_ranges_and_never_executable(client: Client) -> None:
    data = picture()
    path = f"/v1/assets/{client.asset(data)}/content"

    answer = client.get(path, headers={"Range": "bytes=1-3"})

    assert (answer.status_code, answer.data) == (206, b"PNG")
    assert answer.headers["Content-Range"] == f"bytes 1-3/{len(data)}"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert client.get(f"{path}?download=1").headers["Content-Disposition"].startswith("attachment")
