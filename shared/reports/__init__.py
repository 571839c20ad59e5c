"""What is asked about jobs, batches and accounts, by clients and by operators."""
