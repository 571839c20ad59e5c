"""Passwords, users, and the guard against requests to private addresses."""
