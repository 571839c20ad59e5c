"""What both the API and the workers need: settings, database, job lifecycle, dispatch, storage, schemas, logs, metrics."""
