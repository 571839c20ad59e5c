"""A TCP proxy that breaks connections: it passes on, swallows in silence, or cuts at the moment that a rule names."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    # Sees what a client sends on one connection, in order; True: pass it on, and let the answer get lost.
    Rule = Callable[[bytes], bool]


class Proxy:
    """Stands on a port of its own before `port`. `swallow` makes every connection half-open, both ways."""

    def __init__(self, port: int, rule: Callable[[], Rule] | None = None) -> None:
        self._target = port
        self._rule = rule
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.swallow = threading.Event()
        self.swallowed: list[bytes] = []
        self.cut = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            if select.select([self._listener], [], [], 0.1)[0]:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        rule = self._rule() if self._rule else (lambda _: False)
        with (
            contextlib.suppress(OSError),
            client,
            socket.create_connection(("127.0.0.1", self._target)) as server,
        ):
            while not self._over.is_set():
                for one in select.select([client, server], [], [], 0.1)[0]:
                    data = one.recv(65_536)
                    if not data:
                        return
                    if self.swallow.is_set():
                        self.swallowed.append(data)
                    elif one is server:
                        client.sendall(data)
                    else:
                        server.sendall(data)
                        if rule(data):
                            server.recv(65_536)  # it has done what it was asked to
                            self.cut += 1
                            return
