"""The renderer's bench: one reel through Scenemill, through one ffmpeg command, and through other programs."""
