"""What becomes of a job: the rules of its life and of what belongs to it."""
