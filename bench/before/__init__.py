"""The same service as it is usually written first: what the gains are measured against."""
