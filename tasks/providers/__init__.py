"""Calls to services outside: one HTTP client with limits, retries and a circuit breaker, and a cache of their answers."""
