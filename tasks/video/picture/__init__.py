"""What a segment looks like: stills and clips, text and captions, and how they are composed and encoded."""
