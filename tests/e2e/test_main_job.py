"""The main job: a script posted, a narrated video back, as a client sees it."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import httpx
import pytest
from jsonschema import Draft202012Validator
from PIL import Image

from shared.processes import ffmpeg

if TYPE_CHECKING:
    from tests.e2e.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.services]

SMALL = {"resolution": "360p", "fps": 24, "quality": "draft"}
HELLO = {"scenes": [{"narration": "Hello, world."}]}
AWKWARD = 'It\'s 50% \\ {really}: "quoted", [x]; } { … \N{WATER WAVE}'


def picture() -> bytes:
    image = Image.linear_gradient("L").resize((1600, 900)).convert("RGB")
    target = io.BytesIO()
    image.save(target, "JPEG")
    return target.getvalue()


def clip(tmp_path: Path) -> bytes:
    target = tmp_path / "clip.mp4"
    argv = ffmpeg.command(
        "-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=1", "-f", "lavfi", "-i", "sine=440:d=1",
        "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", f"file:{target}",
    )  # fmt: skip
    ffmpeg.run(argv, cwd=tmp_path)
    return target.read_bytes()


def download(stack: Stack, task: dict[str, Any], name: str) -> bytes:
    (artifact,) = (one for one in task["result"]["artifacts"] if one["name"] == name)
    answer = stack.http.get(artifact["url"])
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith(artifact["media_type"])
    assert hashlib.sha256(answer.content).hexdigest() == artifact["sha256"]
    assert len(answer.content) == artifact["bytes"]
    return answer.content


def test_the_smallest_script_becomes_a_video(stack: Stack) -> None:
    task = stack.run({"kind": "video", "script": HELLO, "output": SMALL, "metadata": {"a": "b"}})

    assert task["progress"] == 1.0
    assert task["metadata"] == {"a": "b"}
    assert task["attempt"] == 1
    assert [scene["status"] for scene in task["scenes"]] == ["done"]
    names = [one["name"] for one in task["result"]["artifacts"]]
    assert {"video.mp4", "captions.srt", "captions.vtt", "poster.jpg"} <= set(names)
    assert "Hello, world." in download(stack, task, "captions.srt").decode()
    assert Image.open(io.BytesIO(download(stack, task, "poster.jpg"))).size == (640, 360)


@pytest.mark.parametrize(
    "job",
    [
        {"kind": "video", "script": HELLO, "output": SMALL},
        {"kind": "video", "brief": {"source_text": "The sea is wide. It is blue."}, "output": SMALL},
        {"kind": "script", "brief": {"topic": "Tides"}},
    ],
    ids=["video", "video of a brief", "script"],
)
def test_a_finished_task_is_as_the_document_says(stack: Stack, job: dict[str, Any]) -> None:
    task = stack.run(job)
    document = stack.http.get("/openapi.json").json()
    schema = {"$ref": "#/components/schemas/Task", "components": document["components"]}

    assert [error.message for error in Draft202012Validator(schema).iter_errors(task)] == []


def test_the_video_is_what_was_planned(stack: Stack, tmp_path: Path) -> None:
    image, video = (f"asset:{stack.upload(content)}" for content in (picture(), clip(tmp_path)))
    script = {
        "defaults": {"transition": {"type": "crossfade", "duration": 0.5}},
        "scenes": [
            {"id": "one", "narration": "The first scene.", "visual": {"type": "image", "src": image}},
            {"id": "two", "duration": 2, "visual": {"type": "video", "src": video, "volume": 0.5}},
            {"id": "three", "duration": 1, "visual": {"type": "gradient", "colors": ["#102030", "#8090a0"]},
             "text": [{"text": AWKWARD, "role": "title"}], "transition": {"type": "cut"}},
            {"id": "four", "duration": 1, "visual": {"type": "color", "colors": ["#aa0000"]}, "transition": {"type": "cut"}},
        ],
    }  # fmt: skip

    task = stack.run({"kind": "video", "script": script, "output": SMALL})

    (tmp_path / "video.mp4").write_bytes(download(stack, task, "video.mp4"))
    with av.open(str(tmp_path / "video.mp4")) as container:
        picture_stream, sound = container.streams.video[0], container.streams.audio[0]
        times = [float(frame.pts * picture_stream.time_base) for frame in container.decode(picture_stream)]
        assert (picture_stream.width, picture_stream.height) == (640, 360)
        sound_seconds = float(sound.duration * sound.time_base)
    planned = task["result"]["duration"]
    assert len(times) == round(planned * 24)
    assert times == pytest.approx([index / 24 for index in range(len(times))], abs=0.001)
    assert sound_seconds == pytest.approx(planned, abs=1 / 24)
    usage = task["result"]["usage"]
    assert usage["rendered_segments"] >= 5  # four bodies and one crossfade
    assert usage["cached_segments"] == 0


def test_the_same_script_again_renders_nothing(stack: Stack) -> None:
    job = {"kind": "video", "script": {"scenes": [{"narration": "Once is enough."}]}, "output": SMALL}

    first, second = stack.run(job), stack.run(job)

    assert first["result"]["usage"]["rendered_segments"] == 1
    assert second["result"]["usage"]["rendered_segments"] == 0
    assert second["result"]["usage"]["cached_segments"] == 1
    assert second["result"]["usage"]["speech_characters"] == 0
    assert second["scenes"][0]["cached"] is True


def test_a_script_job_writes_a_script_that_renders(stack: Stack) -> None:
    brief = {"source_text": "Corals are animals. They build reefs over centuries.", "scenes": 2}
    written = stack.run({"kind": "script", "brief": brief})
    assert written["result"]["model"] == "outline"

    video = stack.run({"kind": "video", "script_task_id": written["task_id"], "output": SMALL})

    assert video["result"]["duration"] > 2


def test_a_video_of_a_brief_writes_its_script_first(stack: Stack) -> None:
    task = stack.run({"kind": "video", "brief": {"topic": "Tides", "scenes": 2}, "output": SMALL})

    assert len(task["result"]["script"]["scenes"]) >= 1
    assert (task["result"]["model"], task["result"]["cached"]) == ("outline", False)


def test_a_job_of_a_missing_asset_is_refused_with_its_place(stack: Stack) -> None:
    src = "asset:00000000-0000-0000-0000-000000000000"
    script = {"scenes": [{"duration": 1}, {"duration": 1, "visual": {"type": "image", "src": src}}]}

    answer = stack.http.post("/v1/jobs", json={"kind": "video", "script": script})

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/script/scenes/1/visual/src"]


def test_canceling_a_running_job_ends_its_ffmpeg(stack: Stack) -> None:
    script = {"scenes": [{"duration": 600, "visual": {"type": "gradient", "colors": ["#000000", "#ffffff"]}}]}
    task = stack.post({"kind": "video", "script": script, "output": {"resolution": "2160p", "fps": 60}})
    ffmpegs = stack.wait_for_process("-progress")

    answer = stack.http.post(f"/v1/tasks/{task['task_id']}/cancel")

    assert answer.status_code == 202
    assert stack.end(task["task_id"], 10)["status"] == "canceled"
    assert not any(process.is_running() for process in ffmpegs)
    assert stack.http.post(f"/v1/tasks/{task['task_id']}/cancel").status_code == 409


def test_flower_shows_the_api_s_own_task_ids(stack: Stack) -> None:
    task = stack.run({"kind": "video", "script": HELLO, "output": SMALL})
    user, _, password = stack.facts["flower_auth"].partition(":")

    with httpx.Client(base_url=stack.facts["flower"], auth=(user, password)) as flower:
        page = flower.get(f"/task/{task['task_id']}")

    assert page.status_code == 200
    assert "jobs.video" in page.text
    assert httpx.get(f"{stack.facts['flower']}/tasks").status_code == 401


def test_one_request_is_followed_through_every_log(stack: Stack) -> None:
    job = {"kind": "video", "script": {"scenes": [{"narration": "Follow me."}]}, "output": SMALL}
    task = stack.end(stack.post(job, **{"X-Request-ID": "follow-me-1"})["task_id"])

    lines = [json.loads(line) for line in Path(stack.facts["log"]).read_text().splitlines()]
    mine = [line for line in lines if line.get("request_id") == "follow-me-1"]

    events = {line["event"] for line in mine if line.get("task_id") == task["task_id"]}
    assert {"job_claimed", "segment_rendered", "job_settled"} <= events
    assert all("time" in line and "level" in line for line in lines)


def test_metrics_count_the_work_done(stack: Stack) -> None:
    stack.run({"kind": "video", "script": HELLO, "output": SMALL})

    api = httpx.get(stack.facts["metrics"]["api"]).text
    renders = httpx.get(stack.facts["metrics"]["workers"]["renders"]).text

    assert 'scenemill_jobs_accepted_total{kind="video"}' in api
    assert 'scenemill_jobs_settled_total{kind="video",outcome="succeeded"}' in renders
