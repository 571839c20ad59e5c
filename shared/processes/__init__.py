"""What child processes may use, what they say, and what they leave behind."""
