"""What is told of tasks: as they are, as they change, and the files that they made."""
