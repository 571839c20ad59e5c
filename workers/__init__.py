"""How workers run: the Celery app, its schedule, health and metrics; and the whole stack on one machine."""
