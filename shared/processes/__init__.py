"""Runs child processes such as ffmpeg: their limits, their pipes, and the cleanup of what they leave behind."""
