"""Periodic maintenance: recovery of lost work, retention, orphan files, webhook delivery."""
