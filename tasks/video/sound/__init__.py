"""The sound of a video: tracks, mix, ducking, loudness, limiter."""
