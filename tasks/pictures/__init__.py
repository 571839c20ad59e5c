"""Pictures and clips that a script describes: found at stock providers, or made by a model."""
