"""The problem document for bytes that are no valid HTTP request, which gunicorn refuses before the application sees them."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

from api.http.problem_documents import MEDIA_TYPE, problem_for_status

if TYPE_CHECKING:
    import socket


def write_error(sock: socket.socket, status_int: int, reason: str, mesg: str) -> None:
    """Write a problem document instead of gunicorn's HTML page. `mesg` is dropped: it echoes what the client sent."""
    del mesg
    name = uuid.uuid4().hex
    document = {**problem_for_status(status_int, reason), "instance": "/", "request_id": name}
    body = json.dumps(document).encode()
    head = (
        f"HTTP/1.1 {status_int} {reason}\r\nConnection: close\r\nContent-Type: {MEDIA_TYPE}\r\n"
        f"X-Request-ID: {name}\r\nX-Process-Time: 0.000000\r\nServer-Timing: total;dur=0.000\r\n"
        f"X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    sock.sendall(head.encode("latin-1", "replace") + body)
