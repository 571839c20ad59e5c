"""The gateway: it validates, writes down and reports. It knows no ffmpeg and no language model."""
