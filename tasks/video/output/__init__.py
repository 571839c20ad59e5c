"""Rendered segments to artifacts: joining, other formats, sidecars, storage."""
