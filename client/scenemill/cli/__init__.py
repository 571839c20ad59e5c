"""The `scenemill` command: what a terminal shows of the client."""
