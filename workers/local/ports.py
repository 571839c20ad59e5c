"""Find TCP ports on the loopback address."""

from __future__ import annotations

import secrets
import socket

LOOPBACK = "127.0.0.1"
# Below the range that kernels give to outgoing connections (Linux 32768, others 49152): a server
# that is restarted must find its port free, and not taken by some connection's own end.
FREE_RANGE = range(15_000, 32_000)


def is_free(port: int) -> bool:
    """Tell whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """Return a port that nothing listens on, or raise OSError when none was found."""
    for _ in range(200):
        port = secrets.choice(FREE_RANGE)
        if is_free(port):
            return port
    raise OSError("No free TCP port was found on the loopback address.")


def is_open(port: int, timeout: float = 0.2) -> bool:
    """Tell whether something answers there."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout):
            return True
    except OSError:
        return False
