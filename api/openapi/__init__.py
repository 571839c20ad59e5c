"""How routes declare themselves: one decorator checks the caller, reads the input, writes the reply, and documents all of it."""
