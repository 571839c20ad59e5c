"""Imports once what several programs need, and forks each from itself: they share that memory, and need not import it again.

`python -m workers.local.fork_server MODULE...`, with the socket of whoever asks as its standard input. An order is a document
with two descriptors: where the program writes to, and where its end is told. It ends with its socket, and all it forked with it.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
from dataclasses import dataclass
from typing import Any

READY = b"ready"
MAX_ORDER_BYTES = 128 * 1024  # of an order; most of it is an environment
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15


@dataclass(frozen=True, slots=True)
class Order:
    """What a fork of this process is to become: what `python -m MODULE ARGUMENT...` would be."""

    request: dict[str, Any]
    output: int
    parent: int

    def become(self) -> None:
        """Become it, and return when it is over."""
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for given, standard in ((nothing, 0), (self.output, 1), (self.output, 2)):
            os.dup2(given, standard)
        for given in (nothing, self.output):
            os.close(given)
        os.environ.clear()
        os.environ.update(self.request["env"])
        os.chdir(self.request["cwd"])
        kernel = ctypes.CDLL(None, use_errno=True)
        kernel.prctl(PR_SET_NAME, self.request["name"].encode()[:15])
        kernel.prctl(PR_SET_PDEATHSIG, self.request["death_signal"])
        if os.getppid() != self.parent:
            sys.exit("The parent ended before its child began.")
        module, *arguments = self.request["module"]
        sys.argv[1:] = arguments
        runpy.run_module(module, run_name="__main__", alter_sys=True)


class ForkServer:
    """Takes orders from a socket, forks, and tells who ended."""

    def __init__(self, orders: socket.socket) -> None:
        self._socket = orders
        self._exit_writers: dict[int, int] = {}  # where the end of a process is told, by its pid
        self._wakeup_reader, self._wakeup_writer = os.pipe()
        for end in (self._wakeup_reader, self._wakeup_writer):
            os.set_blocking(end, False)

    def serve(self) -> Order | None:
        """Serve until nobody can ask any more. In a fork, return what it is to become."""
        signal.signal(signal.SIGCHLD, lambda *_: None)  # a signal without a handler would wake nobody up
        signal.set_wakeup_fd(self._wakeup_writer, warn_on_full_buffer=False)
        self._socket.send(READY)
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._wakeup_reader, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj == self._wakeup_reader:
                        self._reap()
                        continue
                    message, descriptors, _, _ = socket.recv_fds(self._socket, MAX_ORDER_BYTES, 2)
                    if not message:
                        return None
                    if order := self._fork(json.loads(message), *descriptors):
                        return order

    def _fork(self, request: dict[str, Any], output: int, end: int) -> Order | None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.close(end)
            self._close_inherited()
            return Order(request, output, parent)
        os.close(output)
        self._exit_writers[pid] = end
        self._socket.send(str(pid).encode())
        return None

    def _close_inherited(self) -> None:
        """Hold nothing of the server's in a fork."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._socket.close()
        for descriptor in (self._wakeup_reader, self._wakeup_writer, *self._exit_writers.values()):
            os.close(descriptor)

    def _reap(self) -> None:
        os.read(self._wakeup_reader, 512)
        while self._exit_writers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            end = self._exit_writers.pop(pid)
            os.write(end, str(os.waitstatus_to_exitcode(status)).encode())
            os.close(end)


def main() -> None:
    """Import, serve, and in a fork become what was ordered."""
    for name in sys.argv[1:]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collector that looks at it writes to it, and each fork would have a copy of its own then
    if order := ForkServer(socket.socket(fileno=os.dup(0))).serve():
        order.become()


if __name__ == "__main__":
    main()
