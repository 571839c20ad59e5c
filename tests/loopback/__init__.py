"""Loopback HTTP servers that stand in for services outside the machine."""
