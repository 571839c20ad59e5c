"""The supervisor's side of the fork server: starts it, has it fork programs, and wraps them like child processes."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

from workers.local import processes
from workers.local.fork_server import READY

if TYPE_CHECKING:
    from workers.local.services import Program, Service

REPLY_SECONDS = 10.0  # a fork takes milliseconds


class ForkedProcess:
    """A program that the fork server forked, with the interface of `subprocess.Popen`."""

    def __init__(self, pid: int, output: int, end: int) -> None:
        self.pid = pid
        self.stdout = os.fdopen(output, "rb")
        self.returncode: int | None = None
        self._exit_reader = end

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code, or raise TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._exit_reader], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            # An empty read: the fork server died, and the kernel killed what it had forked.
            self.returncode = int(os.read(self._exit_reader, 16) or -signal.SIGKILL)
            os.close(self._exit_reader)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


def start_program(service: Service) -> Program:
    """Start a service's program without the fork server."""
    return processes.start(
        service.argv,
        env=service.env,
        cwd=service.cwd,
        output=subprocess.PIPE,
        death_signal=service.death_signal,
        owner=service.owner,
    )


class ForkClient:
    """Starts the fork server, and programs through it. It needs Linux; elsewhere each program starts by itself."""

    possible = sys.platform == "linux"

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def start_server(self, service: Service) -> Program:
        """Start the fork server itself."""
        self.close()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(REPLY_SECONDS)
        with theirs:
            return processes.start(
                service.argv,
                env=service.env,
                cwd=service.cwd,
                output=subprocess.PIPE,
                stdin=theirs.fileno(),
                death_signal=service.death_signal,
            )

    def close(self) -> None:
        """Close the connection: the fork server ends, and with it what it forked."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ready(self) -> bool:
        """Return whether the fork server has imported everything; it reports so once."""
        orders = self._socket
        return bool(orders and select.select([orders], [], [], 0)[0] and orders.recv(64) == READY)

    def fork(self, service: Service) -> Program:
        """Fork a `python -m …` program; where the fork server has just died, start the program by itself."""
        if self._socket is None:
            return start_program(service)
        order = {
            "name": service.name,
            "module": service.argv[2:],
            "env": dict(service.env),
            "cwd": str(service.cwd),
            "death_signal": int(service.death_signal),
        }
        output, writes = os.pipe()
        end, exit_writer = os.pipe()
        try:
            socket.send_fds(self._socket, [json.dumps(order).encode()], [writes, exit_writer])
            pid = int(self._socket.recv(64))
        except (OSError, ValueError):
            # A late reply would be read as the reply to the next order, with the wrong pid: end the fork server instead.
            self.close()
            os.close(output)
            os.close(end)
            return start_program(service)
        finally:
            os.close(writes)
            os.close(exit_writer)
        return ForkedProcess(pid, output, end)
