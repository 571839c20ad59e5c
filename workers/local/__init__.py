"""The local stack of `make up`: Postgres, Redis, the API, workers, beat and Flower as child processes.

None of it runs in production, where each program is a container or unit of its own.
"""
