"""POST /v1/jobs: admission, references, dry run, estimate, and the transaction that accepts a job."""
