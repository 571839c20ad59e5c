"""`python -m client` is the `scenemill` command."""

from client.command import main

main()
