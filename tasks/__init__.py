"""What workers do with jobs. `tasks.registry` names every Celery task; each kind of job has a folder."""
