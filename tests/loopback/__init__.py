"""Servers that stand in for what lies outside the machine: real HTTP on loopback."""
