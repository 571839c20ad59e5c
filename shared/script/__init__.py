"""The script: its JSON schema, its values, its timeline, its voices, and the speaking rate."""
