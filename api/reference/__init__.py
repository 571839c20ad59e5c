"""The browsable API reference at /docs, and the pages of problem types."""
