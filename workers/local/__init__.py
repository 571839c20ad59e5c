"""The whole of Scenemill on one machine: Postgres, Redis, the API, the workers, beat and Flower as children.

Nothing here runs in production: there, each of these is its own container or unit.
"""
