"""Brokers of our own beside the stack's Redis: a RabbitMQ, and a Redis group with Sentinels. Loopback, free ports, own data."""
