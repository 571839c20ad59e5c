"""The calls of the API, one function each: what is sent, and what the answer is read into."""
