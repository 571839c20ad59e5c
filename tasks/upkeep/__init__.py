"""Periodic maintenance: recovery of lost work, retention, orphan cleanup, webhook delivery."""
