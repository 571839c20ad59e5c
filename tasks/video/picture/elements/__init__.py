"""Elements drawn in a scene beside its text, one kind a module: charts."""
