"""GET /v1/tasks and below: the task document, its events and its artifacts."""
