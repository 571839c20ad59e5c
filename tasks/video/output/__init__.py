"""From segments to artifacts: joining, formats, sidecars."""
