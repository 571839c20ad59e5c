"""Finds free TCP ports on the loopback address, and checks open ones."""

from __future__ import annotations

import secrets
import socket

LOOPBACK = "127.0.0.1"
# Below the ephemeral ports of outgoing connections (from 32768 on Linux, 49152 elsewhere): a restarted server must not
# find its port taken by one of those.
FREE_RANGE = range(15_000, 32_000)


def is_free(port: int) -> bool:
    """Return whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """Return a random free port; raise OSError when none is found."""
    for _ in range(200):
        port = secrets.choice(FREE_RANGE)
        if is_free(port):
            return port
    raise OSError("No free TCP port was found on the loopback address.")


def is_open(port: int, timeout: float = 0.2) -> bool:
    """Return whether a server accepts connections on the port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout):
            return True
    except OSError:
        return False
