"""What a batch of ten thousand jobs takes, beside the least that has to be done for it, and what memory it takes meanwhile.

The least is what a program would do that trusts its caller and keeps everything in memory: parse the body, check each job by
the same schema, and write the rows by INSERTs of a thousand rows each, all in one transaction. The gateway does that behind
HTTP, with few jobs in memory at a time, and knows its caller, counts what is queued, and writes the batch and its audit event.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
import uuid
from typing import TYPE_CHECKING, Any, cast

from psycopg2.extras import Json, execute_values

from api.schemas.job import JobSchema, dump_job
from bench import measure
from bench.control.accept import BODY
from bench.control.growth import held
from shared.script.schema.loading import load

if TYPE_CHECKING:
    import psycopg2.extensions
    from sqlalchemy import Connection

    from bench.control.lab import Lab

TEMPLATE = {
    "fields": {"name": {"type": "string"}, "price": {"type": "string"}},
    "script": {"scenes": [{"narration": "{{name}}", "text": [{"text": "{{price}}", "role": "title"}]}]},
}
JSON, LINES, TABLE = "application/json", "application/x-ndjson", "text/csv"
PATIENCE = 120.0  # seconds
BATCH = "INSERT INTO batches (id, account_id, total) VALUES (%s, %s, %s)"
INSERT = """
INSERT INTO jobs (id, account_id, batch_id, kind, spec, metadata, priority, custom_id, max_attempts, turn)
VALUES %s
"""


def measured(lab: Lab, *, quick: bool) -> dict[str, Any]:
    """Return the figures of this part."""
    rounds, number = (1, 1_000) if quick else (3, 10_000)
    bodies = bodies_of(number)
    found: dict[str, Any] = {"number": number, "rounds": []}
    with lab.gunicorn("api.wsgi:app", "/readyz", SCENEMILL_MAX_QUEUED="1000000") as (address, pid):
        _sent(lab, address, bodies_of(100))  # what is done once in a process's life
        for _ in range(rounds):
            before = held(pid)
            with measure.Watch(pid) as watch:
                times = _sent(lab, address, bodies)
            found["rounds"].append(
                {"bare": _bare(lab, bodies[JSON]), "held": before, "most": watch.most["all"], **times}
            )
    return found | {"bytes": {form: len(body) for form, body in bodies.items()}}


def bodies_of(number: int) -> dict[str, bytes]:
    """Return the same number of jobs in each of the forms, no two of them alike."""
    every = [{**BODY, "custom_id": f"job-{at}", "metadata": {"row": str(at)}} for at in range(number)]
    table = [f"job-{at},A reef of {at} corals,{at} dollars" for at in range(number)]
    return {
        JSON: json.dumps({"jobs": every}).encode(),
        LINES: "\n".join(json.dumps(one) for one in every).encode(),
        TABLE: "\n".join(["custom_id,name,price", *table]).encode(),
    }


def _sent(lab: Lab, address: str, bodies: dict[str, bytes]) -> dict[str, float]:
    """Post each form for an account of its own, and return how long each took."""
    times: dict[str, float] = {}
    for form, body in bodies.items():
        ((_, key),) = lab.accounts(uuid.uuid4().hex, 1)
        if form == TABLE:
            _call("PUT", f"{address}/v1/templates/bench", key, JSON, json.dumps(TEMPLATE).encode())
        began = time.monotonic()
        _call(
            "POST", f"{address}/v1/batch" + ("?template_id=bench" if form == TABLE else ""), key, form, body
        )
        times[form] = time.monotonic() - began
    return times


def _call(method: str, url: str, key: str, form: str, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": form}
    asked = urllib.request.Request(url, data=body, headers=headers, method=method)  # noqa: S310 (our own loopback address)
    try:
        with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:  # noqa: S310
            answer.read()
    except urllib.error.HTTPError as error:
        raise RuntimeError(error.read().decode()) from error


def _bare(lab: Lab, body: bytes) -> float:
    """Return how long the least takes that has to be done for a body of JSON."""
    ((owner, _),) = lab.accounts(uuid.uuid4().hex, 1)
    began = time.monotonic()
    specs = [load(JobSchema(), one) for one in json.loads(body)["jobs"]]
    batch_id = str(uuid.uuid4())
    rows = [
        (str(uuid.uuid4()), str(owner), batch_id, spec.kind, Json(dump_job(spec)), Json(dict(spec.metadata)),
         spec.priority, spec.custom_id, 5)
        for spec in specs
    ]  # fmt: skip
    with lab.engine.begin() as transaction, _plain(transaction).cursor() as cursor:
        cursor.execute(BATCH, (batch_id, str(owner), len(rows)))
        template = "(%s, %s, %s, %s, %s, %s, %s, %s, %s, now())"
        execute_values(cursor, INSERT, rows, template=template, page_size=1_000)
    return time.monotonic() - began


def _plain(connection: Connection) -> psycopg2.extensions.connection:
    return cast("psycopg2.extensions.connection", connection.connection.driver_connection)
