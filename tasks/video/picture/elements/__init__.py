"""What is drawn in a scene beside its visual: charts."""
