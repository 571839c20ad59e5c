"""The calls of the API, one function each: what is sent, and what the answer is read into.

A new route is a function here, its answer's properties in `scenemill.types`, and a line in `resources.py` and in
`async_resources.py`. `tests/unit/client/test_types.py` and `tests/e2e/test_client.py` fail until it is there.
"""
