"""Text on the picture: fonts, line breaking, boxes, and the ASS events that draw it."""
