"""The suite must see what it is for: copies of the code with one rule taken out, each of which breaks an invariant.

Each mutant is a small change of a copy in a temporary folder; the same play against the code as it is breaks nothing.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.orm import Session

from shared.lifecycle import jobs
from shared.models import Job
from tests import factories
from tests.chaos import faults, invariants, load
from tests.chaos.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.chaos, pytest.mark.e2e, pytest.mark.services, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
ROOMS = ("api", "shared", "tasks", "workers")

NO_ATTEMPT_CHECK = {
    "shared/lifecycle/jobs.py": [
        ('Job.attempt == bindparam("held"), Job.state == State.RUNNING)\n        .values(state=state,',
         'Job.attempt >= bindparam("held"), Job.state == State.RUNNING)\n        .values(state=state,'),
    ]
}  # fmt: skip
NO_LEASE = {
    "tasks/lifecycle/recovery.py": [
        (".where(Job.state == State.RUNNING, Job.leased_until < func.now())",
         ".where(Job.state == State.RUNNING, Job.leased_until < func.now() - text(\"interval '1 day'\"))"),
        (".where(Segment.state == SegmentState.RUNNING, Segment.leased_until < func.now())",
         ".where(Segment.state == SegmentState.RUNNING, Segment.leased_until < func.now() - text(\"interval '1 day'\"))"),
        ("from sqlalchemy import and_,", "from sqlalchemy import text, and_,"),
    ]
}  # fmt: skip
# Marked and sent inside the transaction that writes the job; the pause makes sure that the worker is the quicker one.
_TAKEN = """    audit.record(session, "jobs.submitted", str(job.id))
"""
_SENT = """    import time
    from sqlalchemy import text
    from shared.dispatch import messages, publishing
    from shared.dispatch.fairness import _TASKS
    session.execute(text("UPDATE jobs SET published_at = now() WHERE id = ANY(:ids)"), {"ids": [job.id]})
    publishing.send([messages.Message(_TASKS[spec.kind], job.id, job.id, caller().account_id)])
    time.sleep(0.5)
"""
PUBLISH_BEFORE_COMMIT = {"api/jobs/acceptance.py": [(_TAKEN, _TAKEN + _SENT)]}
NO_LIMIT = {"shared/dispatch/fairness.py": [(":running * :weight", "(:running + 1000) * :weight")]}


def a_stale_attempt_commits(world: World) -> None:
    """Take a job over at the very moment when its former worker writes its end."""
    world.wrapper.always("late")
    task_id = world.post(load.video(world.rng))
    assembling = "SELECT count(*) FROM jobs WHERE assembly_key IS NOT NULL AND leased_until IS NOT NULL"
    world.wait(lambda: world.value(assembling), "assembly", 60)
    world.wrapper.always(None)
    with Session(world.engine) as session:
        job = session.get_one(Job, uuid.UUID(task_id), with_for_update=True)
        blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%''succeeded''%'"
        world.wait(lambda: world.value(blocked), "the worker to write the end", 30)
        jobs.requeue(session, job.id, job.attempt, delay=timedelta(0))
        session.flush()
        taken = factories.claim(session, job.id, lease=timedelta(seconds=3))
        assert taken is not None
        session.commit()
    world.hit("F13 taken over in its last UPDATE", "it waited for the row")
    world.wait(
        lambda: world.state(task_id).state != "running" or world.state(task_id).attempt > 2,
        "what follows",
        20,
    )


def a_worker_dies(world: World) -> None:
    faults.at_work(world)
    for one in world.whole("worker-renders"):
        one.send_signal(signal.SIGKILL)
    world.hit("F1 worker killed", "it was at work")


def jobs_are_posted(world: World) -> None:
    for _ in range(5):
        world.post(load.script(world.rng))
    world.hit("nothing", "jobs were posted")


def more_are_posted_than_may_be_begun(world: World) -> None:
    for _ in range(10):
        world.post(load.video(world.rng, scenes=2))
    world.hit("nothing", "more jobs were posted than may be begun")


PLAYS: dict[str, tuple[Callable[[World], None], dict[str, list[tuple[str, str]]], set[str]]] = {
    "no attempt check": (a_stale_attempt_commits, NO_ATTEMPT_CHECK, {"I4"}),
    "no lease": (a_worker_dies, NO_LEASE, {"I1"}),
    "publish before commit": (jobs_are_posted, PUBLISH_BEFORE_COMMIT, {"I1"}),
    "no limit": (more_are_posted_than_may_be_begun, NO_LIMIT, {"I10"}),
}


@pytest.mark.parametrize("name", PLAYS)
def test_every_mutant_is_detected(name: str, seed: int) -> None:
    play, changes, expected = PLAYS[name]
    with tempfile.TemporaryDirectory(prefix="scenemill-chaos-") as folder:
        code = mutate(Path(folder) / "code", changes)

        broken = broken_by(play, Path(folder).resolve() / "world", seed, code)

    assert expected <= set(broken), broken


def test_the_unchanged_code_breaks_no_invariant_in_the_same_plays(seed: int) -> None:
    with tempfile.TemporaryDirectory(prefix="scenemill-chaos-") as folder:
        code = mutate(Path(folder) / "code", {})
        for at, (play, _, _) in enumerate(PLAYS.values()):
            where = Path(folder).resolve() / f"world-{at}"
            assert broken_by(play, where, seed, code, seconds=120) == {}


def broken_by(
    play: Callable[[World], None], folder: Path, seed: int, code: Path, *, seconds: float = 25
) -> dict[str, list[str]]:
    """Play against the code in a folder, and return what it breaks."""
    folder.mkdir()
    # Nothing is published again by and by: what is lost by a mutant stays lost.
    settings = {
        "PYTHONPATH": str(code),
        "SCENEMILL_REPUBLISH_AFTER": "3600",
        "SCENEMILL_MAX_RUNNING_PER_ACCOUNT": "2",  # so few that a handful of jobs meets the limit
    }
    with World(folder, seed, settings) as world:
        play(world)
        world.settle(seconds)
        return invariants.violations(world, but=("I14", "I18"))


def mutate(code: Path, changes: dict[str, list[tuple[str, str]]]) -> Path:
    """Copy the code, and change the copy."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, code / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name, pairs in changes.items():
        content = (code / name).read_text()
        for former, new in pairs:
            assert content.count(former) == 1, (name, former)
            content = content.replace(former, new)
        (code / name).write_text(content)
    found = subprocess.run(
        [sys.executable, "-c", "import shared; print(shared.__file__)"],
        env={"PYTHONPATH": str(code), "PYTHONSAFEPATH": "1"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.startswith(str(code)), found.stdout
    return code
