"""How work reaches workers: who goes next, what a message says, and what is done when the broker forgets."""
