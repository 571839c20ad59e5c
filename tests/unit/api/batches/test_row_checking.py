"""Batches: defaults, limits, and places."""

from __future__ import annotations

import pytest

from api.batches.row_checking import RowChecker
from api.schemas.batch import BatchSchema
from shared.errors import Invalid
from shared.script.schema.loading import load
from tests.work import calls

SCRIPT = {"scenes": [{"narration": "Hello."}]}
ASSET = "asset:6f1c0a52-9d0e-4b1e-8a52-1f0c2d3e4f50"


def checked(document):
    spec = load(BatchSchema(), document)
    return RowChecker(spec.defaults).check(list(enumerate(document["jobs"])))


def batch(document):
    good, wrong = checked(document)
    assert not wrong
    return [job for _, job in good]


def errors(document) -> dict[str, str]:
    try:
        return dict(checked(document)[1])
    except Invalid as error:
        return dict(error.args[1])


def test_a_job_inherits_absent_members_from_the_defaults():
    first, second = batch(
        {
            "defaults": {
                "kind": "video",
                "script": SCRIPT,
                "priority": "bulk",
                "output": {"fps": 60, "quality": "draft"},
                "metadata": {"run": "7", "row": "0"},
            },
            "jobs": [
                {"output": {"fps": 24}, "metadata": {"row": "1"}},
                {"brief": {"topic": "Reefs"}, "priority": "normal"},
            ],
        }
    )

    assert (first.output.fps, first.output.quality, first.priority) == (24, "draft", "bulk")
    assert first.metadata == {"run": "7", "row": "1"}
    assert (second.brief.topic, second.script, second.priority) == ("Reefs", None, "normal")
    assert (second.output.fps, second.metadata) == (60, {"run": "7", "row": "0"})


def test_every_invalid_job_is_reported():
    found = errors({"jobs": [{"kind": "video", "script": SCRIPT}, {"kind": "video"}, 7, {"kind": "x"}]})

    assert found == {
        "#/jobs/1": "A video job needs one of script, brief, script_task_id, template_id.",
        "#/jobs/2": "Must be an object.",
        "#/jobs/3/kind": "Must be one of: video, script.",
    }


def test_invalid_defaults_are_reported_once():
    defaults = {"output": {"fps": 1}, "colour": 1, "script": {"scenes": [{"id": "A"}]}}

    found = errors({"defaults": defaults, "jobs": [{"kind": "video"}] * 5})

    assert set(found) == {"#/defaults/colour", "#/defaults/output/fps", "#/defaults/script/scenes/0/id"}


@pytest.mark.parametrize(
    ("document", "found"),
    [
        pytest.param({}, {"#/jobs": "Missing."}, id="empty"),
        pytest.param({"jobs": []}, {"#/jobs": "Must have 1 to 10000 jobs."}, id="no job"),
        pytest.param({"jobs": [{}] * 10_001}, {"#/jobs": "Must have 1 to 10000 jobs."}, id="10001 jobs"),
        pytest.param({"defaults": {}, "jobs": 7}, {"#/jobs": "Must be a list."}, id="jobs as number"),
        pytest.param(
            {"defaults": [], "jobs": [{}]}, {"#/defaults": "Must be an object."}, id="defaults as list"
        ),
        pytest.param([], {"#": "Must be an object."}, id="list"),
    ],
)
def test_a_batch_is_a_list_of_jobs(document, found):
    assert errors(document) == found


def test_sources_have_the_clients_own_pointers():
    pictured = {"scenes": [{"visual": {"type": "image", "src": ASSET}}]}

    shared, own = batch(
        {"defaults": {"kind": "video", "script": pictured}, "jobs": [{}, {"script": dict(pictured)}]}
    )

    assert shared.sources == (("#/defaults/script/scenes/0/visual/src", ASSET, "image"),)
    assert own.sources == (("#/jobs/1/script/scenes/0/visual/src", ASSET, "image"),)


@pytest.mark.slow
def test_all_jobs_together_have_a_limit_of_scenes():
    jobs = [{"kind": "video", "script": {"scenes": [{"id": "A"}] * 500}} for _ in range(201)]

    (found,) = errors({"jobs": jobs}).items()

    assert found[0] == "#/jobs"
    assert "100000 scenes" in found[1]


def test_a_script_job_inherits_no_unsupported_member():
    defaults = {"kind": "video", "output": {"fps": 60}, "script": SCRIPT, "template_version": 1}

    written, shown = batch(
        {"defaults": defaults, "jobs": [{"kind": "script", "brief": {"topic": "x"}}, {"script": SCRIPT}]}
    )

    assert (written.kind, written.output, shown.output.fps) == ("script", None, 60)


def test_a_script_job_with_its_own_output_is_invalid():
    job = {"kind": "script", "brief": {"topic": "x"}, "output": {"fps": 60}}

    assert errors({"defaults": {"output": {}}, "jobs": [job]}) == {
        "#/jobs/0/output": "A script job must not have it."
    }


def test_a_script_that_a_thousand_jobs_share_is_checked_once():
    scenes = [{"narration": f"Scene {number}.", "text": [{"text": "x"}]} for number in range(500)]
    document = {"defaults": {"kind": "video", "script": {"scenes": scenes}}, "jobs": [{}] * 1000}

    alone = calls(lambda: batch({**document, "jobs": [{}]}))

    assert calls(lambda: batch(document)) < 10 * alone
    assert len({id(job.script) for job in batch(document)}) == 1
