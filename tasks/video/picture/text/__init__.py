"""Text on the picture: fonts, fitting, placement, and the events that draw it."""
