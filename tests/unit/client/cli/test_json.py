"""`--json`: every command has it, and then stdout holds JSON and nothing else."""

from __future__ import annotations

import json

import click
import pytest

from scenemill.cli.command import cli
from tests.unit.client.cli.answers import (
    ASSET,
    ASSET_ID,
    BATCH,
    BATCH_ID,
    KEY,
    TASK,
    TASK_ID,
    TEMPLATE,
    USAGE,
    VIDEO,
    answer,
    finished,
    page,
)  # fmt: skip

VOICE, THEME = {"name": "en-us", "language": "en-US"}, {"name": "neon"}
SCRIPT_DONE = TASK | {"kind": "script", "status": "succeeded", "result": {"script": {"scenes": [{}]}}}
ACCEPTED = {"batch_id": BATCH_ID, "counts": {"queued": 1}, "task_ids": [TASK_ID], "skipped": []}
RESULTS = (200, {}, (json.dumps(finished()) + "\n").encode())
NOTHING = (204, {}, b"")
FILES = {"video.mp4": "out/video.mp4"}
DELETED = {"deleted": True}
CASES = [
    (
        "render - --out out",
        [answer(202, TASK), answer(200, finished()), (200, {}, VIDEO)],
        [{**finished(), "files": FILES}],
    ),
    ("render - --detach", [answer(202, TASK)], [TASK]),
    ("render - --dry-run", [answer(200, {"valid": True})], [{"valid": True}]),
    ("write tides --output-file tides.json", [answer(202, TASK), answer(200, SCRIPT_DONE)], [SCRIPT_DONE]),
    ("batch submit - --format ndjson", [answer(202, ACCEPTED)], [ACCEPTED]),
    (
        "batch submit - --format ndjson --wait",
        [answer(202, ACCEPTED), answer(200, BATCH), answer(200, BATCH)],
        [BATCH],
    ),
    (f"batch show {BATCH_ID}", [answer(200, BATCH)], [BATCH]),
    (f"batch watch {BATCH_ID}", [answer(200, BATCH), answer(200, BATCH)], [BATCH]),
    (f"batch results {BATCH_ID}", [RESULTS], [finished()]),
    (
        f"batch results {BATCH_ID} --out out",
        [RESULTS, (200, {}, VIDEO)],
        [{"task_id": TASK_ID, "custom_id": None, "files": {"video.mp4": f"out/{TASK_ID}/video.mp4"}}],
    ),
    (f"batch cancel {BATCH_ID}", [answer(200, BATCH)], [BATCH]),
    (f"batch retry {BATCH_ID}", [answer(200, BATCH)], [BATCH]),
    ("tasks list", [page(TASK, finished())], [TASK, finished()]),
    (f"tasks show {TASK_ID}", [answer(200, TASK)], [TASK]),
    (f"tasks watch {TASK_ID}", [answer(200, TASK), answer(200, finished())], [finished()]),
    (f"tasks cancel {TASK_ID}", [answer(202, TASK)], [TASK]),
    (f"tasks retry {TASK_ID}", [answer(202, TASK)], [TASK]),
    (f"tasks delete {TASK_ID} --yes", [NOTHING], [{"task_id": TASK_ID, **DELETED}]),
    (
        f"tasks download {TASK_ID} --out out",
        [answer(200, finished()), (200, {}, VIDEO)],
        [{"task_id": TASK_ID, "files": FILES}],
    ),
    ("assets list", [page(ASSET)], [ASSET]),
    ("assets upload a.png", [answer(201, ASSET)], [{"file": "a.png", **ASSET}]),
    (f"assets show {ASSET_ID}", [answer(200, ASSET)], [ASSET]),
    (
        f"assets download {ASSET_ID} b.png",
        [answer(200, ASSET), (200, {}, VIDEO)],
        [{"asset_id": ASSET_ID, "file": "b.png"}],
    ),
    (f"assets delete {ASSET_ID} --yes", [NOTHING], [{"asset_id": ASSET_ID, **DELETED}]),
    ("templates list", [page(TEMPLATE)], [TEMPLATE]),
    ("templates show greeting", [answer(200, TEMPLATE)], [TEMPLATE]),
    ("templates put greeting -", [answer(200, TEMPLATE)], [TEMPLATE]),
    ("templates delete greeting --yes", [NOTHING], [{"template_id": "greeting", **DELETED}]),
    ("voices", [page(VOICE)], [VOICE]),
    ("themes", [page(THEME)], [THEME]),
    ("usage", [answer(200, USAGE)], [USAGE]),
    ("keys list", [page(KEY)], [KEY]),
    ("keys create x --scope jobs:read", [answer(201, KEY | {"key": "sm_live"})], [KEY | {"key": "sm_live"}]),
    ("keys revoke 4f1c2a --yes", [NOTHING], [{"id": "4f1c2a", "revoked": True}]),
    ("config set api http://x:1", [], [{"profile": "default", "name": "api", "set": True}]),
]


@pytest.mark.parametrize(("line", "answers", "expected"), CASES, ids=[line for line, _, _ in CASES])
def test_stdout_holds_json_and_nothing_else(run, server, home, line, answers, expected):
    (home / "a.png").write_bytes(VIDEO)
    server.answers = list(answers)

    ended = run(*line.split(), "--json", stdin=b'{"scenes": [{}]}')

    assert ended.code == 0, ended.err
    assert ended.lines == expected


def leaves(command, context):
    """Give every command that has none below it."""
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        yield from leaves(found, context) if isinstance(found, click.Group) else [found]


def test_every_command_has_it():
    # The demo is for people: it renders an example and says what it does.
    assert {
        one.name for one in leaves(cli, click.Context(cli)) if not any("--json" in p.opts for p in one.params)
    } == {"demo"}
