"""The start page, its video, and the guide."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from api.app import create_app
from api.reference import guide
from tests.integration.api.test_reference import Links

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask
    from flask.testing import FlaskClient

    from shared.settings import Settings

pytestmark = pytest.mark.services

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
SAMPLE = b"not really a video, and that is all that this route needs"


@pytest.fixture(scope="module")
def demo(config: Settings, tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """Return a client of an installation with a demo's video and a Flower."""
    folder: Path = tmp_path_factory.mktemp("demo")
    (folder / "video.mp4").write_bytes(SAMPLE)
    (folder / "secret.txt").write_text("not for everyone")
    named = {"demo_dir": folder, "flower_url": "http://127.0.0.1:5555"}
    return create_app(config.model_copy(update=named)).test_client()


@pytest.mark.parametrize("accept", ["*/*", "application/json", None, "text/plain, */*;q=0.1"])
def test_a_program_gets_an_index_of_links(demo: FlaskClient, accept: str | None) -> None:
    answer = demo.get("/", headers={"Accept": accept} if accept else {})

    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    assert answer.json["name"] == "Scenemill"
    assert answer.json["links"]["flower"] == "http://127.0.0.1:5555"
    inside = [link for name, link in answer.json["links"].items() if name not in ("flower", "jobs", "tasks")]
    assert {demo.get(link).status_code for link in inside} == {200}
    assert answer.headers["Vary"] == "Accept"


def test_a_browser_gets_a_page_that_loads_nothing_from_elsewhere(demo: FlaskClient) -> None:
    answer = demo.get("/", headers={"Accept": BROWSER})
    page = Links()
    page.feed(answer.text)

    assert answer.mimetype == "text/html"
    assert answer.headers["Vary"] == "Accept"
    assert page.loads == ["/docs/docs.css", "/demo/video.mp4"]
    assert not page.tags & {"script", "style", "iframe"}
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert {"/guide/", "/docs", "/openapi.json", "http://127.0.0.1:5555", "/metrics"} <= page.targets


def test_the_video_can_be_sought_in_and_nothing_else_of_its_folder_is_served(demo: FlaskClient) -> None:
    part = demo.get("/demo/video.mp4", headers={"Range": "bytes=4-9"}, buffered=True)

    assert (part.status_code, part.data, part.mimetype) == (206, SAMPLE[4:10], "video/mp4")
    assert demo.get("/demo/secret.txt").status_code == 404
    assert demo.get("/demo/poster.jpg").status_code == 404


def test_without_a_video_and_flower_the_page_shows_neither(app: Flask) -> None:
    answer = app.test_client().get("/", headers={"Accept": BROWSER})

    assert "<video" not in answer.text
    assert "Flower" not in answer.text
    assert app.test_client().get("/demo/video.mp4").status_code == 404


@pytest.mark.parametrize("name", sorted(guide.page_files()))
def test_a_page_of_the_guide_is_whole(app: Flask, name: str) -> None:
    http = app.test_client()
    answer = http.get("/guide/" if name == "index" else f"/guide/{name}")
    page = Links()
    page.feed(answer.text)

    assert answer.status_code == 200
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert not page.tags & {"script", "style", "iframe"}
    assert [link for link in page.loads if http.get(link, buffered=True).status_code != 200] == []
    for target in page.targets:
        address, _, anchor = target.partition("#")
        if address.startswith("/guide/") and anchor:
            assert f'id="{anchor}"' in http.get(address).text, target
        elif address.startswith("/"):
            assert http.get(address).status_code == 200, target
        elif anchor:
            assert anchor in page.ids, target


def test_the_guide_serves_its_own_files_alone(app: Flask) -> None:
    http = app.test_client()

    assert http.get("/guide/images/reef.webp", buffered=True).mimetype == "image/webp"
    for path in ("nothing", "../README", "%2e%2e/README", "images/nothing.png", "images/..%2fapi.md"):
        assert http.get(f"/guide/{path}").status_code == 404, path
    assert re.search("/guide/$", http.get("/guide").headers["Location"])
