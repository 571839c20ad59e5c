"""Calls to services outside: bounded HTTP, one retry policy, a circuit breaker, a guard against SSRF, a response cache."""
