"""What crosses the HTTP boundary, and what a language model must answer."""
