"""A load generator that costs little: raw HTTP/1.1 over epoll, in a process of its own whose CPU is told.

It sends requests that were written out beforehand and reads of an answer only its status and its length. Closed loop:
every connection sends the next request when the last one was answered. Open loop: requests fall due at a steady rate, and
a latency counts from when its request was due, so that a server that stalls cannot hide the requests it kept waiting.
"""

from __future__ import annotations

import json
import resource
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PATIENCE = 30.0  # seconds that an answer may take
BROKEN = 0  # the "status" of a request that got no answer


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be sent. Either for so many seconds, the requests again and again, or each of them once (0 seconds).

    `rate`, requests a second, makes it an open loop. `apart` gives each connection its own part of the requests.
    """

    address: str
    requests: Sequence[str]
    connections: int
    seconds: float = 0.0
    rate: float = 0.0
    apart: bool = False


@dataclass(slots=True)
class Outcome:
    """What came of it. Latencies are seconds, in the order of the answers; `ends` are seconds after the beginning."""

    seconds: float = 0.0
    cpu: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)

    @property
    def answered(self) -> int:
        """How many requests were answered at all."""
        return sum(number for status, number in self.statuses.items() if status != str(BROKEN))

    @property
    def rate(self) -> float:
        """How many were answered a second."""
        return self.answered / self.seconds

    def only(self, *statuses: int) -> bool:
        """Tell whether all were answered so."""
        return set(self.statuses) <= {str(status) for status in statuses}


def request(method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> str:
    """Write a request out, as latin-1 text so that JSON can carry it."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: bench",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
    return head + body.decode("latin-1")


def post(path: str, document: Any, key: str | None = None) -> str:
    """Write a POST of JSON out."""
    known = {"Authorization": f"Bearer {key}"} if key else {}
    return request("POST", path, {"Content-Type": "application/json", **known}, json.dumps(document).encode())


def run(plan: Plan) -> Outcome:
    """Send all of it from another process, and return what came of it."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(asdict(plan), file)
        file.flush()
        most = plan.seconds + 600 if plan.seconds else 900
        done = subprocess.run(
            [sys.executable, "-m", "bench.load", file.name], capture_output=True, timeout=most, check=True
        )
    return Outcome(**json.loads(done.stdout))


class Connection:
    """One connection, at most one request under way on it."""

    def __init__(self, address: tuple[str, int], own: deque[bytes] | None) -> None:
        self._address = address
        self.own = own
        self.due = 0.0
        self.sent = 0.0
        self.socket: socket.socket | None = None
        self._read = b""
        self._left = -1  # bytes of the body that are still to come; -1: the head is not there yet
        self.status = BROKEN
        self._closes = False

    def send(self, request: bytes, due: float) -> None:
        """Send a request; on a new connection where there is none."""
        if self.socket is None:
            self.socket = socket.create_connection(self._address, timeout=PATIENCE)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due, self.sent = due, time.monotonic()
        self._read, self._left, self.status, self._closes = b"", -1, BROKEN, False
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Read what is there; True when the answer is complete, or broken off."""
        assert self.socket is not None
        try:
            data = self.socket.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self.status = BROKEN
            return True
        if self._left >= 0:
            self._left -= len(data)
            return self._left <= 0
        self._read += data
        return self._head()

    def _head(self) -> bool:
        at = self._read.find(b"\r\n\r\n")
        if at < 0:
            return False
        head = self._read[:at].lower()
        self.status = int(head[9:12])
        self._closes = b"\r\nconnection: close" in head
        place = head.find(b"\r\ncontent-length:")
        length = int(head[place + 17 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
        self._left = length - (len(self._read) - at - 4)
        return self._left <= 0

    @property
    def ends(self) -> bool:
        """Whether it serves no other request: the server closes it, or it is broken."""
        return self.status == BROKEN or self._closes

    def close(self) -> None:
        """Close it."""
        if self.socket is not None:
            with suppress(OSError):
                self.socket.close()
            self.socket = None


class Generator:
    """Sends a plan."""

    def __init__(self, plan: Plan) -> None:
        place = urlsplit(plan.address)
        address = (place.hostname or "127.0.0.1", place.port or 80)
        self._plan = plan
        requests = [each.encode("latin-1") for each in plan.requests]
        self._common = deque(requests)
        parts = [deque(requests[at :: plan.connections]) for at in range(plan.connections)]
        self._connections = [
            Connection(address, parts[at] if plan.apart else None) for at in range(plan.connections)
        ]
        self._selector = selectors.EpollSelector()
        self._idle = deque(self._connections)
        self._busy: set[Connection] = set()
        self._outcome = Outcome()
        self._statuses: Counter[int] = Counter()
        self._begun = 0
        self._start = 0.0

    def run(self) -> Outcome:
        """Send everything and wait for the last answer."""
        self._start = time.monotonic()
        while True:
            self._send_due()
            if not self._busy and self._is_over():
                break
            for key, _ in self._selector.select(self._pause()):
                connection: Connection = key.data
                if connection.receive():
                    self._answered(connection)
            self._drop_late()
        for connection in self._connections:
            self._close(connection)
        self._outcome.seconds = time.monotonic() - self._start
        used = resource.getrusage(resource.RUSAGE_SELF)
        self._outcome.cpu = used.ru_utime + used.ru_stime
        self._outcome.statuses = {str(status): number for status, number in sorted(self._statuses.items())}
        return self._outcome

    def _is_over(self) -> bool:
        if self._plan.seconds:
            return time.monotonic() - self._start >= self._plan.seconds
        return not any(one.own if one.own is not None else self._common for one in self._connections)

    def _due(self) -> float | None:
        """Return when the next request is due; None: as soon as there is a connection for it."""
        return self._start + self._begun / self._plan.rate if self._plan.rate else None

    def _pause(self) -> float:
        due = self._due()
        if due is None or not self._idle:
            return 0.5
        return max(0.0, min(0.5, due - time.monotonic()))

    def _send_due(self) -> None:
        for _ in range(len(self._idle)):
            due, now = self._due(), time.monotonic()
            if self._is_over() or (due is not None and due > now):
                return
            connection = self._idle.popleft()
            request = self._next(connection)
            if request is not None:
                self._begun += 1
                self._send(connection, request, due or now)

    def _next(self, connection: Connection) -> bytes | None:
        queue = connection.own if connection.own is not None else self._common
        if not queue:
            return None
        if self._plan.seconds:
            queue.rotate(-1)
            return queue[-1]
        return queue.popleft()

    def _send(self, connection: Connection, request: bytes, due: float) -> None:
        """Send it; once more where a connection that was kept turns out to be closed."""
        for fresh in (connection.socket is None, True):
            if fresh:
                self._close(connection)
            with suppress(OSError):
                connection.send(request, due)
                break
        else:
            self._close(connection)
            self._note(connection)
            return
        self._busy.add(connection)
        if fresh and connection.socket is not None:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)

    def _answered(self, connection: Connection) -> None:
        self._busy.discard(connection)
        if connection.ends:
            self._close(connection)
        self._note(connection)

    def _close(self, connection: Connection) -> None:
        if connection.socket is not None:
            with suppress(KeyError):
                self._selector.unregister(connection.socket)
            connection.close()

    def _note(self, connection: Connection) -> None:
        now = time.monotonic()
        self._statuses[connection.status] += 1
        self._outcome.latencies.append(round(now - connection.due, 6))
        self._outcome.ends.append(round(now - self._start, 4))
        self._idle.append(connection)

    def _drop_late(self) -> None:
        """Give up what was not answered for too long."""
        now = time.monotonic()
        for connection in [one for one in self._busy if now - one.sent > PATIENCE]:
            connection.status = BROKEN
            self._answered(connection)


def main() -> None:
    """Send the plan in the file that the command line names, and print what came of it."""
    given = json.loads(Path(sys.argv[1]).read_text())
    print(json.dumps(asdict(Generator(Plan(**given)).run())))


if __name__ == "__main__":
    main()
