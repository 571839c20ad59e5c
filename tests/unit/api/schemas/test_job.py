"""Jobs as they are posted."""

from __future__ import annotations

import json

import pytest

from api.schemas.job import EVENTS, JobSchema, JobSpec, Webhook, dump_job
from shared.errors import Invalid
from shared.script.schema.loading import load, parse_strict_json
from shared.script.values import Brief, Output

SCRIPT = {"scenes": [{"narration": "Hello."}]}
ASSET = "asset:6f1c0a52-9d0e-4b1e-8a52-1f0c2d3e4f50"
TASK = "6f1c0a52-9d0e-4b1e-8a52-1f0c2d3e4f50"


def job(**members) -> JobSpec:
    return load(JobSchema(), {"kind": "video", "script": SCRIPT, **members})


def errors(document) -> dict[str, str]:
    with pytest.raises(Invalid) as raised:
        load(JobSchema(), document)
    return dict(raised.value.args[1])


def test_a_video_has_a_default_output():
    spec = job()

    assert spec.script.scenes[0].narration.text == "Hello."
    assert spec.output == Output()
    assert (spec.priority, spec.metadata, spec.webhook, spec.expires_in) == ("normal", {}, None, None)


def test_every_member_of_a_job_is_loaded():
    spec = job(
        output={"aspect": "9:16", "resolution": "720p", "fps": 60, "formats": ["mp4", "hls"], "sidecars": []},
        custom_id="row 7",
        priority="bulk",
        metadata={"customer": "7", "note": ""},
        webhook={"url": "https://example.org/hook", "events": ["task.failed"]},
        expires_in=3600,
    )

    assert spec.output == Output("9:16", "720p", 60, formats=("mp4", "hls"), sidecars=())
    assert (spec.custom_id, spec.priority, spec.expires_in) == ("row 7", "bulk", 3600)
    assert spec.metadata == {"customer": "7", "note": ""}
    assert spec.webhook == Webhook("https://example.org/hook", ("task.failed",))
    assert job(webhook={"url": "https://example.org/hook"}).webhook.events == EVENTS


def test_a_script_job_has_a_brief():
    spec = load(
        JobSchema(),
        {
            "kind": "script",
            "brief": {"source_text": "One.\r\nTwo.\fThree.", "scenes": 3, "keywords": ["reef"]},
        },
    )

    assert spec.brief == Brief(source_text="One.\nTwo.\nThree.", scenes=3, keywords=("reef",))
    assert spec.output is None


@pytest.mark.parametrize(
    "document",
    [
        {
            "kind": "video",
            "script": SCRIPT,
            "metadata": {"a": "b"},
            "webhook": {"url": "https://example.org/"},
        },
        {"kind": "video", "script_task_id": TASK, "output": {"fps": 25}, "expires_in": 1, "custom_id": "x"},
        {"kind": "video", "brief": {"topic": "Reefs", "duration": 45}},
        {"kind": "script", "brief": {"topic": "Reefs", "audience": "children", "keywords": ["larva"]}},
    ],
    ids=["script", "script task", "video brief", "script brief"],
)
def test_a_dumped_job_loads_as_the_same_job(document):
    spec = load(JobSchema(), document)

    assert load(JobSchema(), parse_strict_json(json.dumps(dump_job(spec)).encode())) == spec


def test_the_sources_of_a_job_point_into_the_request():
    scenes = [{"enabled": False}, {"visual": {"type": "image", "src": ASSET}}]

    assert job(script={"scenes": scenes}).sources == (("#/script/scenes/1/visual/src", ASSET, "image"),)


@pytest.mark.parametrize(
    ("document", "found"),
    [
        pytest.param({}, {"#/kind": "Missing."}, id="empty"),
        pytest.param({"kind": "audio"}, {"#/kind": "Must be one of: video, script."}, id="unknown kind"),
        pytest.param(
            {"kind": "video"},
            {"#": "A video job needs one of script, brief, script_task_id, template_id."},
            id="of nothing",
        ),
        pytest.param({"kind": "script"}, {"#": "A script job needs a brief."}, id="a script of nothing"),
        pytest.param(
            {"kind": "script", "script": SCRIPT, "brief": {"topic": "x"}, "output": {}},
            {
                "#/script": "A script job must not have it. Remove it, or change the job's kind.",
                "#/output": "A script job must not have it.",
            },
            id="a script of a script",
        ),
        pytest.param(
            {"kind": "video", "script": SCRIPT, "brief": {"topic": "x"}},
            {"#/brief": "A job must have only one of script, brief, script_task_id, template_id."},
            id="of two things",
        ),
        pytest.param(
            {"kind": "script", "brief": {}},
            {"#/brief": "Must have a topic or a source_text."},
            id="empty brief",
        ),
        pytest.param(
            {"kind": "script", "brief": {"topic": " \n"}},
            {"#/brief/topic": "May not be blank."},
            id="blank topic",
        ),
        pytest.param(
            {"kind": "script", "brief": {"topic": "x", "scenes": 2.5}},
            {"#/brief/scenes": "Must be a whole number from 1 to 100."},
            id="half a scene",
        ),
        pytest.param(
            {"kind": "video", "script_task_id": "../1"},
            {"#/script_task_id": "Must be a task's id."},
            id="task",
        ),
    ],
)
def test_a_job_has_exactly_one_input_of_its_kind(document, found):
    assert errors(document) == found


@pytest.mark.parametrize(
    ("members", "where"),
    [
        ({"output": {"fps": 30.5}}, "#/output/fps"),
        ({"output": {"fps": "30"}}, "#/output/fps"),
        ({"output": {"formats": []}}, "#/output/formats"),
        ({"output": {"formats": ["mp4", "mp4"]}}, "#/output/formats/1"),
        ({"output": {"sidecars": ["txt"]}}, "#/output/sidecars/0"),
        ({"output": {"width": 3}}, "#/output/width"),
        ({"custom_id": "x" * 65}, "#/custom_id"),
        ({"custom_id": 7}, "#/custom_id"),
        ({"priority": "urgent"}, "#/priority"),
        ({"metadata": {str(number): "" for number in range(17)}}, "#/metadata"),
        ({"metadata": {"a": 1}}, "#/metadata/a"),
        ({"metadata": {"a/b": None}}, "#/metadata/a~1b"),
        ({"metadata": []}, "#/metadata"),
        ({"webhook": {"url": "http://example.org/"}}, "#/webhook/url"),
        ({"webhook": {"url": "https://example.org/", "events": ["task.started"]}}, "#/webhook/events/0"),
        ({"expires_in": 0}, "#/expires_in"),
        ({"script": {"scenes": [{"duration": "3"}]}}, "#/script/scenes/0/duration"),
        ({"jobs": []}, "#/jobs"),
    ],
)
def test_an_invalid_member_is_reported_with_its_pointer(members, where):
    assert list(errors({"kind": "video", "script": SCRIPT, **members})) == [where]


def test_30_as_a_float_is_30():
    assert job(output={"fps": 30.0}).output.fps == 30
