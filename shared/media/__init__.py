"""Recognises media files by their content, and probes their facts."""
