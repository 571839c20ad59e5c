"""The browsable API reference at /docs."""
