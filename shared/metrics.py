"""Every metric, declared once. Labels have few values and never an id."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_MINUTES = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)

jobs_accepted = Counter("scenemill_jobs_accepted_total", "Jobs that were answered 202.", ["kind"])
jobs_settled = Counter("scenemill_jobs_settled_total", "Jobs that ended.", ["kind", "outcome"])
attempts = Counter("scenemill_attempts_total", "How attempts ended.", ["task", "outcome"])
attempt_seconds = Histogram(
    "scenemill_attempt_seconds", "How long attempts took.", ["task"], buckets=_MINUTES
)
segments = Counter("scenemill_segments_total", "Segments by where they came from.", ["source"])
rendered_frames = Counter("scenemill_rendered_frames_total", "Frames that were encoded.")
deliveries = Counter("scenemill_webhook_attempts_total", "Tries to deliver a webhook.", ["outcome"])
logins = Counter(
    "scenemill_logins_total", "Requests for tokens, and what came of them.", ["grant", "outcome"]
)
swept = Counter("scenemill_swept_total", "What the sweeper repaired.", ["repair"])
unfinished = Gauge(
    "scenemill_jobs_unfinished", "Jobs by state, as last counted.", ["state"], multiprocess_mode="mostrecent"
)
waiting_seconds = Gauge(
    "scenemill_jobs_waiting_seconds",
    "How long the job that waits longest could have run already, as last counted.",
    multiprocess_mode="mostrecent",
)
last_sweep = Gauge(
    "scenemill_last_sweep_timestamp_seconds",
    "When the sweeper last ended a round.",
    multiprocess_mode="mostrecent",
)
