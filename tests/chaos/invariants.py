"""What must hold whatever happened: I1 to I18, each a query or a property of a world whose jobs have ended.

`violations` asks all of them. What cannot be asked in a world says why instead, by `Unasked`.
"""

from __future__ import annotations

import hashlib
import io
import time
import uuid
from collections import Counter, defaultdict
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import av
import psutil

from shared.states import FINISHED, MOVES, State
from tests.chaos.files import make_old
from tests.chaos.world import HEARTBEAT, LEASE

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator
    from pathlib import Path

    from tests.chaos.world import World

ENDS = tuple(state.value for state in FINISHED)
LONG_AGO = timedelta(days=30)


class Unasked(Exception):
    """This invariant cannot be asked in this world, and why."""


def violations(world: World, *, but: Container[str] = ()) -> dict[str, list[str]]:
    """Return what is violated, by the invariant's name; nothing when all hold. Those in `but` are not asked."""
    found: dict[str, list[str]] = {}
    for name, ask in ASKED.items():
        if name in but:
            continue
        try:
            broken = list(ask(world))
        except Unasked:
            continue
        if broken:
            found[name] = broken[:20]
    return found


def assert_all(world: World) -> None:
    """Fail with the world's seed where something does not hold."""
    world.settle()
    broken = violations(world)
    assert not broken, (f"seed {world.seed}", broken, [hit.name for hit in world.hits])


def every_job_ends(world: World) -> Iterator[str]:
    """I1: every job that was answered 202 is there, and has ended."""
    states = {str(row.id): row.state for row in world.rows("SELECT id, state FROM jobs")}
    for task_id in world.promised.accepted:
        if states.get(task_id) not in ENDS:
            yield f"{task_id} is {states.get(task_id)}"


def one_success(world: World) -> Iterator[str]:
    """I2: a job succeeds once, says so once, and has one set of artifacts: its files' names, each once; others have none."""
    yield from (
        f"{row.job_id} succeeded {row.times} times"
        for row in world.rows(
            "SELECT job_id, count(*) AS times FROM chaos.moves WHERE what = 'job' AND new = 'succeeded' "
            "AND old <> 'succeeded' GROUP BY job_id HAVING count(*) > 1"
        )
    )
    said = Counter(
        line.get("task_id") for line in world.logged("job_settled") if line.get("state") == "succeeded"
    )
    yield from (f"{task_id} was settled {times} times" for task_id, times in said.items() if times > 1)
    for row in world.rows(
        "SELECT jobs.id, state, kind, count(name) AS files FROM jobs LEFT JOIN artifacts ON job_id = jobs.id GROUP BY 1, 2, 3"
    ):
        expected = row.kind == "video" and row.state == "succeeded"
        if (row.files > 0) != expected:
            yield f"{row.kind} {row.id} is {row.state} and has {row.files} artifacts"


def artifacts_are_whole(world: World) -> Iterator[str]:
    """I3: a published artifact is what its row says, to the byte, plays to its end, and was never written twice."""
    query = "SELECT job_id, name FROM chaos.moves WHERE what = 'artifact' AND old <> 'INSERT'"
    yield from (f"{row.job_id}: {row.name} was changed" for row in world.rows(query))
    for row in world.rows("SELECT job_id, name, storage_key, bytes, sha256, duration FROM artifacts"):
        content = world.files.content(row.storage_key)
        if content is None:
            yield f"{row.job_id}: {row.name} is gone"
        elif hashlib.sha256(content).hexdigest() != row.sha256 or len(content) != row.bytes:
            yield f"{row.job_id}: {row.name} is not what was published"
        elif row.name == "video.mp4" and abs(_plays(content) - row.duration) > 0.05:
            yield f"{row.job_id}: {row.name} plays {_plays(content):.2f} s, not {row.duration:.2f}"


def _plays(content: bytes) -> float:
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        frames = sum(1 for _ in container.decode(stream))
        return frames / float(stream.average_rate or 1)


def stale_attempts_change_nothing(world: World) -> Iterator[str]:
    """I4: what a job published, and what its end was told by, is of its last attempt; no attempt number ever goes back."""
    for row in world.rows("SELECT storage_key, attempt FROM artifacts JOIN jobs ON jobs.id = job_id"):
        if row.storage_key.split("/")[3] != str(row.attempt):
            yield f"{row.storage_key} was published, and the attempt is {row.attempt}"
    last = {
        str(row.id): row.attempt
        for row in world.rows("SELECT id, attempt FROM jobs WHERE state = 'succeeded'")
    }
    for line in world.logged("job_settled"):
        task_id = line.get("task_id", "")
        if line.get("state") == "succeeded" and line.get("attempt") != last.get(task_id, line.get("attempt")):
            yield f"{task_id} was settled by attempt {line.get('attempt')}, and the last is {last[task_id]}"
    for row in world.rows("SELECT job_id FROM chaos.moves WHERE attempt < old_attempt"):
        yield f"an attempt of {row.job_id} went back"


def only_legal_moves(world: World) -> Iterator[str]:
    """I5: a job moves as `shared.states` allows, and an end is left by a client's retry alone."""
    for row in world.rows("SELECT job_id, old, new FROM chaos.moves WHERE what = 'job' AND old <> new"):
        if State(row.new) not in MOVES[State(row.old)]:
            yield f"{row.job_id} went from {row.old} to {row.new}"
        elif row.old in ENDS and str(row.job_id) not in world.promised.retried:
            yield f"{row.job_id} left its end {row.old}, and nobody asked for it"


def attempts_are_bounded(world: World) -> Iterator[str]:
    """I6: no job and no segment has more charged attempts than it may."""
    for row in world.rows("SELECT id, attempt, max_attempts FROM jobs WHERE attempt > max_attempts"):
        yield f"{row.id} had {row.attempt} of {row.max_attempts} attempts"
    most = int(world.settings.get("SCENEMILL_MAX_ATTEMPTS", "5"))
    for row in world.rows("SELECT id, charged FROM segments WHERE charged > :most", most=most):
        yield f"segment {row.id} had {row.charged} of {most} attempts"


def one_key_one_job(world: World) -> Iterator[str]:
    """I7: who asks again with the same key and body is told of the same job, and nothing else was made."""
    yield from (f"{first} and {again} of one key" for first, again in world.promised.twins if first != again)
    made = world.value("SELECT count(*) FROM jobs")
    if made != len(world.promised.accepted):
        yield f"{made} jobs were made, and {len(world.promised.accepted)} were promised"


def cancels_are_final(world: World) -> Iterator[str]:
    """I8: what was canceled with a 202 does not succeed afterwards. How soon its ffmpeg goes, the test of cancels measures."""
    for row in world.rows("SELECT id, state FROM jobs"):
        promised = str(row.id) in world.promised.canceled - world.promised.retried
        if promised and row.state != "canceled":
            yield f"{row.id} was canceled, and is {row.state}"


def no_process_outlives_its_job(world: World) -> Iterator[str]:
    """I9: when all jobs have ended, no program that served one is left, heartbeat and two seconds later."""
    work = str(world.stack.folder / "work")
    deadline = time.monotonic() + HEARTBEAT + 2
    while (left := list(_at_work(work, str(world.wrapper.path)))) and time.monotonic() < deadline:
        time.sleep(0.1)
    yield from left


def _at_work(folder: str, program: str) -> Iterator[str]:
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
            if process.status() != psutil.STATUS_ZOMBIE and (
                process.cwd().startswith(folder)
                or program in line
                or any(part.startswith(folder) for part in line)
            ):
                yield f"{process.pid} still runs: {' '.join(line)[:200]}"
        except psutil.Error:
            continue


def accounts_keep_their_limit(world: World) -> Iterator[str]:
    """I10: at no moment had an account more jobs begun than it may."""
    limit = int(world.settings["SCENEMILL_MAX_RUNNING_PER_ACCOUNT"])
    running: dict[Any, set[Any]] = defaultdict(set)
    query = "SELECT account_id, job_id, new, at FROM chaos.moves WHERE what = 'job' ORDER BY at, number"
    for row in world.rows(query):
        held = running[row.account_id]
        (held.add if row.new in ("running", "canceling") else held.discard)(row.job_id)
        if len(held) > limit:
            yield f"{row.account_id} had {len(held)} of {limit} jobs begun at {row.at}"


def the_queue_has_a_cap(world: World) -> Iterator[str]:
    """I11: at no moment were more jobs unfinished than the queue's cap."""
    cap = int(world.settings.get("SCENEMILL_MAX_QUEUED", "100000"))
    depth = 0
    for row in world.rows("SELECT old, new FROM chaos.moves WHERE what = 'job' ORDER BY at, number"):
        depth += (row.old is None or row.old in ENDS) - (row.new in ENDS and row.old not in ENDS)
        if depth > cap:
            yield f"{depth} jobs were unfinished"
            return


def ends_are_told(world: World) -> Iterator[str]:
    """I12: each end that a client wants to hear of is one delivery of one id, and the receiver got it at least once."""
    deadline = time.monotonic() + 20
    while (
        world.value("SELECT count(*) FROM webhook_deliveries WHERE state = 'pending'")
        and time.monotonic() < deadline
    ):
        world.execute(
            "UPDATE webhook_deliveries SET run_after = now() WHERE state = 'pending' AND attempt < 9"
        )
        time.sleep(0.5)
    came = set(world.receiver.ids())
    deliveries: dict[str, list[Any]] = defaultdict(list)
    for row in world.rows("SELECT subject, id, state FROM webhook_deliveries"):
        deliveries[row.subject].append(row)
    for task_id in world.promised.hooked:
        rows = deliveries.pop(task_id, [])
        if len(rows) != 1 and task_id not in world.promised.retried:
            yield f"{task_id} has {len(rows)} deliveries"
        yield from (
            f"{task_id} was not told of: {row.state}" for row in rows if f"msg_{row.id.hex}" not in came
        )
    yield from (f"{subject} asked for nothing" for subject in deliveries)


def budgets_hold(world: World) -> Iterator[str]:
    """I13: a month costs an account no more than its budget and one call in flight for each slot."""
    budgets = world.rows("SELECT id, budget FROM accounts WHERE budget IS NOT NULL")
    if not budgets:
        raise Unasked("No account of this world has a budget.")
    for row in budgets:
        spent, dearest = world.rows(
            "SELECT coalesce(sum(cost), 0), coalesce(max(cost), 0) FROM usage WHERE account_id = :id",
            id=row.id,
        )[0]
        if spent > row.budget + 2 * dearest:
            yield f"{row.id} spent {spent} of {row.budget}"


def nothing_temporary_stays(world: World) -> Iterator[str]:
    """I14: once what dead workers left is old, tidying leaves no file that no row names, and takes none that one names."""
    work = world.stack.folder / "work"
    world.files.age(LONG_AGO)
    for path in work.iterdir():
        make_old(path, LONG_AGO)
    named = _named(world)
    world.send("upkeep.tidy")
    deadline = time.monotonic() + 10
    while (left := _left(world, work) - named) and time.monotonic() < deadline:
        time.sleep(0.1)
    yield from (f"{name} is nobody's" for name in sorted(left))
    yield from (f"{name} was taken" for name in sorted(named - _left(world, work)))


def _named(world: World) -> set[str]:
    tables = ("artifacts", "assets", "stored_segments", "stored_speech", "stored_mixes")
    return {row[0] for table in tables for row in world.rows(f"SELECT storage_key FROM {table}")}  # noqa: S608


def _left(world: World, work: Path) -> set[str]:
    return world.files.left() | {f"work/{path.name}" for path in work.iterdir()}


def ids_tell_nothing(world: World) -> Iterator[str]:
    """I15: another account is answered about a task of ours as about one that nobody has."""
    some = next(iter(world.promised.accepted), None)
    if some is None:
        raise Unasked("No task was made.")
    for method, path in (("GET", ""), ("POST", "/cancel"), ("POST", "/retry"), ("DELETE", "")):
        ours, nobodys = (_answer(world, method, task_id, path) for task_id in (some, str(uuid.uuid4())))
        if ours != nobodys:
            yield f"{method} {path}: {ours} and {nobodys}"


def _answer(world: World, method: str, task_id: str, path: str) -> tuple[int, str]:
    answer = world.call(method, f"/v1/tasks/{task_id}{path}", key=world.other_key)
    said = {name: value for name, value in answer.json().items() if name not in ("request_id", "instance")}
    return answer.status_code, repr(sorted(said.items())).replace(task_id, "ID")


def no_secret_shows(world: World) -> Iterator[str]:
    """I16: no key, password or webhook secret is in a log, a job's row, an error or a command line."""
    facts = world.stack.facts
    secrets = [facts["api_key"], world.other_key, facts["flower_auth"].partition(":")[2]]
    secrets += [facts[url].split(":")[2].split("@")[0] for url in ("database_url", "redis_url")]
    secrets += [row[0] for row in world.rows("SELECT secret FROM webhook_secrets")]
    secrets += [value for name, value in world.settings.items() if name.endswith("_KEY")]
    places = {str(path): path.read_text(errors="replace") for path in (world.stack.folder / "logs").iterdir()}
    places |= {f"argv of {one.pid}": " ".join(_argv(one)) for one in world.family()}
    places["rows"] = repr(world.rows("SELECT spec, plan, result, error, metadata FROM jobs"))
    places["audit"] = repr(world.rows("SELECT * FROM audit_events"))
    for place, content in places.items():
        yield from (f"a secret is in {place}" for secret in secrets if secret and secret in content)


def _argv(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def only_one_clock_counts(world: World) -> Iterator[str]:
    """I17: every time in a job's row is Postgres's and in its order, whatever the workers' clocks say; so is each lease's end."""
    longer = "SELECT id, lease FROM chaos.moves WHERE lease > make_interval(secs => :lease)"
    for row in world.rows(longer, lease=LEASE):
        yield f"{row.id} was leased for {row.lease}"
    now = world.now()
    for row in world.rows("SELECT id, created_at, started_at, finished_at FROM jobs"):
        times = [world.began, row.created_at, row.started_at, row.finished_at, now]
        known = [one for one in times if one is not None]
        if any(later < earlier for earlier, later in pairwise(known)):
            yield f"{row.id}: {known}"


def workers_consume(world: World) -> Iterator[str]:
    """I18: in the end a new job of each kind is taken and done: life is measured by what is consumed.

    That a worker which is not ready claims nothing is asked by the tests of stopped and ending workers alone: a row does not
    tell which process claimed it.
    """
    from tests.chaos import load  # noqa: PLC0415 (a load is only wanted here)

    for job in (load.video(world.rng), load.script(world.rng)):
        task_id = world.post(job)
        if (state := world.end(task_id)) != "succeeded":
            yield f"the last {job['kind']} {task_id} has {state}"


ASKED: dict[str, Callable[[World], Iterator[str]]] = {
    "I18": workers_consume,  # first, so that all others see its jobs too
    "I1": every_job_ends,
    "I2": one_success,
    "I3": artifacts_are_whole,
    "I4": stale_attempts_change_nothing,
    "I5": only_legal_moves,
    "I6": attempts_are_bounded,
    "I7": one_key_one_job,
    "I8": cancels_are_final,
    "I9": no_process_outlives_its_job,
    "I10": accounts_keep_their_limit,
    "I11": the_queue_has_a_cap,
    "I12": ends_are_told,
    "I13": budgets_hold,
    "I14": nothing_temporary_stays,
    "I15": ids_tell_nothing,
    "I16": no_secret_shows,
    "I17": only_one_clock_counts,
}
