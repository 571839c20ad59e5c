"""The script as schema and as values: its timeline, its voices, its speaking rate."""
