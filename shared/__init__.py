"""What both sides know: settings, database, the life of a job, dispatch, storage, schemas, logs, metrics."""
