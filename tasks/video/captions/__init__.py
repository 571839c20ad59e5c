"""Captions: cues, line breaks, SRT and VTT."""
