"""A script to a video: timeline, segments, captions, sound, assembly."""
