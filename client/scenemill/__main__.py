"""`python -m scenemill` is the `scenemill` command."""

from scenemill.cli.command import main

main()
