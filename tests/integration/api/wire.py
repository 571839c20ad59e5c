"""A TCP proxy that can be cut, or swallow everything: a server that is away, or that has stopped answering."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from typing import Literal, Self

Mode = Literal["pass", "cut", "swallow"]


class Wire:
    """Passes bytes between its own port and a server's."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._mode: Mode = "pass"
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._drop()
        self._listener.close()

    def set(self, mode: Mode) -> None:
        """Cut all connections and refuse new ones, or let all bytes vanish, or pass them again."""
        if mode == "cut":
            self._listener.close()
        elif self._mode == "cut":
            self._listener = socket.create_server(("127.0.0.1", self.port))
        self._mode = mode
        if mode != "swallow":
            self._drop()  # what was swallowed cannot be said again

    def _drop(self) -> None:
        for pair in self._pairs:
            for one in pair:
                one.close()
        self._pairs = []

    def _serve(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(OSError, ValueError), selectors.DefaultSelector() as selector:
                if self._mode != "cut":
                    selector.register(self._listener, selectors.EVENT_READ, None)
                for pair in self._pairs:
                    selector.register(pair[0], selectors.EVENT_READ, pair)
                    selector.register(pair[1], selectors.EVENT_READ, pair[::-1])
                for key, _ in selector.select(0.02) or ():
                    self._accept() if key.data is None else self._move(*key.data)
            self._ended.wait(0.0005 if self._pairs else 0.01)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        self._pairs.append((client, socket.create_connection(self._target)))

    def _move(self, source: socket.socket, target: socket.socket) -> None:
        data = source.recv(65536)
        if not data:
            self._pairs = [pair for pair in self._pairs if source not in pair]
            source.close()
            target.close()
        elif self._mode == "pass":
            target.sendall(data)
