"""API keys, users, tokens, usage, webhooks, and the operators' routes."""
