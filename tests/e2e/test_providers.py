"""A video whose voice, stock pictures and drawn picture come from providers outside, through the whole stack."""

from __future__ import annotations

import ssl
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from tests.e2e.conftest import PREFIX
from tests.e2e.stack import QUICK, Stack
from tests.loopback.images import LoopbackImages
from tests.loopback.speech import LoopbackSpeech
from tests.loopback.stock import LoopbackFiles, LoopbackStock

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.services]

SMALL = {"resolution": "360p", "fps": 24, "quality": "draft"}
GRADIENT = {"type": "gradient", "colors": ["#0d1b2a", "#1b6ca8"]}
EDITED = "Years go by, and it is large."


def script(last: str = "Years go by, and it is a reef.") -> dict[str, Any]:
    return {
        "scenes": [
            {
                "id": "found",
                "narration": "A reef begins small.",
                "visual": {"type": "stock", "query": "coral"},
            },
            {"id": "other", "narration": "It grows slowly.", "visual": {"type": "stock", "query": "coral"}},
            {
                "id": "drawn",
                "narration": f"Fish come. {last}",
                "visual": {"type": "generated", "prompt": "a reef at dawn", "fallback": GRADIENT},
            },
        ]
    }


@dataclass
class Outside:
    speech: LoopbackSpeech
    files: LoopbackFiles
    stock: LoopbackStock
    images: LoopbackImages

    def settings(self, pem: Path) -> dict[str, str]:
        named = {
            "SPEECH_BASE_URL": self.speech.base_url,
            "PEXELS_API_KEY": "pex-key",
            "PEXELS_BASE_URL": self.stock.root,
            "IMAGES_BASE_URL": self.images.base_url,
            "ALLOW_PRIVATE_ADDRESSES": "true",
            "CA_FILE": str(pem),
            "PRICE_CHARACTERS": "2",
            "PRICE_IMAGES": "0.5",
        }
        return {**QUICK, **{f"SCENEMILL_{name}": value for name, value in named.items()}}


@pytest.fixture(scope="module")
def outside() -> Iterator[tuple[Outside, Stack]]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with ExitStack() as open_until, tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        pem = Path(folder) / "ca.pem"
        authority.cert_pem.write_to_path(pem)
        files = open_until.enter_context(LoopbackFiles(context))
        servers = Outside(
            open_until.enter_context(LoopbackSpeech()),
            files,
            open_until.enter_context(LoopbackStock(files)),
            open_until.enter_context(LoopbackImages(files)),
        )
        stack = Stack(Path(folder) / "data", servers.settings(pem)).start()
        yield servers, stack
        stack.stop()


def used(stack: Stack) -> dict[str, float]:
    (month,) = stack.http.get("/v1/usage").json()["months"]
    return {kind: spent["amount"] for kind, spent in month["used"].items()}


def test_outside_media_is_shown_credited_and_charged_once(
    outside: tuple[Outside, Stack],
) -> None:
    servers, stack = outside
    job = {"kind": "video", "script": script(), "output": SMALL}

    first = stack.run(job)["result"]
    calls = len(servers.speech.requests), len(servers.stock.requests), len(servers.images.requests)
    spoken = sum(len(each) for each in servers.speech.spoken)
    again = stack.run(job)["result"]

    shown = [scene["visual"]["src"] for scene in first["script"]["scenes"]]
    assert len(set(shown)) == 3
    assert [(each["scene"], each["author"]) for each in first["credits"]] == [
        ("found", "Ada 1"),
        ("other", "Ada 2"),
    ]
    assert first["warnings"] == []
    assert (first["usage"]["images"], first["usage"]["speech_characters"]) == (1, spoken)
    assert calls == (len(servers.speech.requests), len(servers.stock.requests), len(servers.images.requests))
    assert (again["usage"]["images"], again["usage"]["speech_characters"]) == (0, 0)
    assert again["usage"]["rendered_segments"] == 0
    ledger = used(stack)
    assert (ledger["images"], ledger["characters"]) == (1, spoken)
    assert ledger["render_seconds"] == pytest.approx(first["usage"]["render_seconds"], abs=0.01)


def test_an_edited_sentence_is_spoken_alone(outside: tuple[Outside, Stack]) -> None:
    servers, stack = outside
    stack.run({"kind": "video", "script": script(), "output": SMALL})
    before = len(servers.speech.spoken)

    edited = stack.run({"kind": "video", "script": script(EDITED), "output": SMALL})["result"]

    assert servers.speech.spoken[before:] == [EDITED]
    assert edited["usage"]["speech_characters"] == len(EDITED)
    assert edited["usage"]["cached_segments"] >= 2


def test_a_budget_ends_the_job_before_the_call_that_would_break_it(outside: tuple[Outside, Stack]) -> None:
    servers, stack = outside
    before = len(servers.images.requests)
    prompt = {"type": "generated", "prompt": "never drawn"}
    job = {"kind": "video", "script": {"scenes": [{"visual": prompt}]}, "output": SMALL, "budget": 0.25}

    task = stack.end(stack.post(job)["task_id"])

    assert (task["status"], task["error"]["code"]) == ("failed", "quota-exceeded")
    assert len(servers.images.requests) == before
