"""/v1/batch: many jobs in one request, as JSON, NDJSON or CSV; and their progress and results."""
