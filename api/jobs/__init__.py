"""POST /v1/jobs: admission, validation, dry run, estimate, and the transaction that accepts a job."""
