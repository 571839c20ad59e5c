"""The script as values: its times, its pace, its voices."""
