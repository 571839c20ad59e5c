"""What beat has done, and how often."""

from __future__ import annotations

from datetime import timedelta

from shared.settings import Settings
from workers.schedule import schedule


def test_a_clock_that_is_an_hour_wrong_expires_no_round() -> None:
    config = Settings(
        database_url="", broker_url="", redis_url="", storage_url="", sweep_interval=timedelta(seconds=0.3)
    )

    planned = schedule(config)

    assert planned["sweep"]["schedule"] == 0.3
    for entry in planned.values():
        assert entry["options"]["expires"] > 3600 + entry["schedule"]
