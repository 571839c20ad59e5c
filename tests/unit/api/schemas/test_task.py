"""What is answered."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone

from api.schemas.task import TaskSchema


def test_a_tasks_timestamps_are_in_utc():
    task_id = uuid.uuid4()
    east = timezone(timedelta(hours=2))

    written = TaskSchema().dump(
        {
            "task_id": task_id,
            "status": "running",
            "created_at": datetime(2026, 11, 24, 7, 0, 0, 5000, tzinfo=east),
            "finished_at": None,
            "result": {"script": {"scenes": []}},
            "secret": "not a member",
        }
    )

    assert written == {
        "task_id": str(task_id),
        "status": "running",
        "created_at": "2026-11-24T05:00:00.005Z",
        "finished_at": None,
        "result": {"script": {"scenes": []}},
    }
    assert datetime.fromisoformat(written["created_at"]).astimezone(UTC).hour == 5
