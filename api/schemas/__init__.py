"""Bodies that only the API reads or writes."""
