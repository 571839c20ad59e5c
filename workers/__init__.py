"""How workers run: the Celery app, its schedule, pool and metrics; and in `local` the whole stack on one machine."""
