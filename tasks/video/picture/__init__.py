"""A segment's spec to its frames: stills, clips, elements, text and captions, composed and encoded by ffmpeg."""
