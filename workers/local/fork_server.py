"""The fork server: imports what several programs need once, and forks the programs from itself, so that they share memory.

`python -m workers.local.fork_server MODULE...`, with its client's socket as standard input. An order is a JSON document
with two descriptors: for the program's output, and for its exit code. The server and all that it forked end with the
socket.
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
MAX_ORDER_BYTES = 128 * 1024  # of an order, which is mostly environment variables
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15


@dataclass(frozen=True, slots=True)
class Order:
    """An order to become what `python -m MODULE ARGUMENT...` would start."""

    request: dict[str, Any]
    output: int
    parent: int

    def become(self) -> None:
        """Run the module in this process, and return when it has ended."""
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
    """Reads orders from a socket, forks, and reports exit codes."""

    def __init__(self, orders: socket.socket) -> None:
        self._socket = orders
        self._exit_writers: dict[int, int] = {}  # the pipe for the exit code of each process, by pid
        self._wakeup_reader, self._wakeup_writer = os.pipe()
        for end in (self._wakeup_reader, self._wakeup_writer):
            os.set_blocking(end, False)

    def serve(self) -> Order | None:
        """Serve until the client closes the socket, then return None; in a fork, return its order."""
        signal.signal(signal.SIGCHLD, lambda *_: None)  # without a handler the signal would not wake the loop
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
        """Close the server's descriptors in a fork."""
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
    """Import the modules and serve; in a fork, run what was ordered."""
    for name in sys.argv[1:]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # the collector writes to what it inspects, which would copy all of it into each fork
    if order := ForkServer(socket.socket(fileno=os.dup(0))).serve():
        order.become()


if __name__ == "__main__":
    main()
