"""Every metric, declared once. Labels have few values and never an id."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_MINUTES = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)

jobs_accepted = Counter("scenemill_jobs_accepted_total", "Jobs accepted with a 202.", ["kind"])
jobs_settled = Counter("scenemill_jobs_settled_total", "Jobs that ended.", ["kind", "outcome"])
attempts = Counter("scenemill_attempts_total", "Attempts by outcome.", ["task", "outcome"])
attempt_seconds = Histogram("scenemill_attempt_seconds", "Duration of attempts.", ["task"], buckets=_MINUTES)
segments = Counter("scenemill_segments_total", "Segments by source.", ["source"])
rendered_frames = Counter("scenemill_rendered_frames_total", "Frames that were encoded.")
deliveries = Counter("scenemill_webhook_attempts_total", "Webhook delivery attempts by outcome.", ["outcome"])
logins = Counter("scenemill_logins_total", "Token requests by grant and outcome.", ["grant", "outcome"])
swept = Counter("scenemill_swept_total", "Repairs by the sweeper.", ["repair"])
unfinished = Gauge(
    "scenemill_jobs_unfinished", "Jobs by state, as last counted.", ["state"], multiprocess_mode="mostrecent"
)
waiting_seconds = Gauge(
    "scenemill_jobs_waiting_seconds",
    "How long the oldest due job has been waiting, as last counted.",
    multiprocess_mode="mostrecent",
)
last_sweep = Gauge(
    "scenemill_last_sweep_timestamp_seconds",
    "When the sweeper last completed a round.",
    multiprocess_mode="mostrecent",
)
