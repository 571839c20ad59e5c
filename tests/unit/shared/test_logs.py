"""The format of a log line."""

from __future__ import annotations

import io
import json
import logging
import logging.config

from shared.logs import bind, format_timestamp, logging_config
from workers.local.output import event_now


def test_a_log_line_has_a_timestamp_and_the_bound_fields():
    config = logging_config("INFO", "api")
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    maker = logging.config.DictConfigurator(config)
    handler.setFormatter(maker.configure_formatter(maker.config["formatters"]["json"]))
    handler.addFilter(maker.configure_filter(maker.config["filters"]["context"]))

    with bind(task_id="t1"):
        handler.handle(
            logging.makeLogRecord(
                {"name": "tasks.run", "levelname": "INFO", "msg": "job_settled", "state": "succeeded"}
            )
        )

    line = json.loads(said.getvalue())
    when = line.pop("time")
    assert line == {
        "level": "INFO", "logger": "tasks.run", "event": "job_settled",
        "service": "api", "task_id": "t1", "state": "succeeded",
    }  # fmt: skip
    assert len(when) == len("2026-11-24T06:58:02.125Z")
    assert len(event_now("local", "INFO", "program_ready")["time"]) == len(when)


def test_timestamps_are_in_utc():
    assert format_timestamp(1_795_503_482.125) == "2026-11-24T06:58:02.125Z"
