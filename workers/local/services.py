"""What a program of the local stack is, as a value: how it starts, when it counts as ready, how it stops."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Protocol

from workers.local.processes import CURRENT_USER, Owner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

FIRST_PAUSE = 0.5
MAX_PAUSE = 5.0
# Who lived this long was well: the next death counts as a first one again.
STABLE_SECONDS = 15.0


class Program(Protocol):
    """A running program, as `subprocess.Popen` describes a child; one that the fork server started has the same shape."""

    @property
    def pid(self) -> int:
        """The process."""
        ...

    @property
    def stdout(self) -> IO[bytes] | None:
        """What it writes."""
        ...

    @property
    def returncode(self) -> int | None:
        """Its exit code, None while it runs."""
        ...

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code, or raise TimeoutExpired."""
        ...

    def send_signal(self, sig: int, /) -> None:
        """Send it a signal, unless it has ended."""
        ...

    def kill(self) -> None:
        """Kill it."""
        ...


@dataclass(frozen=True)
class Service:
    """One program. `after` names those that must be ready first; a `once` program is ready when it ended well."""

    name: str
    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str] = field(repr=False)
    after: tuple[str, ...] = ()
    ready: Callable[[], bool] | None = None
    launch: Callable[[Service], Program] | None = None  # how it is started, where not by itself
    one_shot: bool = False
    hides_output: bool = False  # what it says is kept out of the log
    start_seconds: float = 120.0
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    stop_order: int = 0  # the lowest stop first, those of one number together
    grace: float = 5.0
    owner: Owner = CURRENT_USER


def pause_before_restart(deaths: int) -> float:
    """Return how long to wait before a program is started again after so many deaths in a row."""
    return float(min(MAX_PAUSE, FIRST_PAUSE * 2.0 ** (deaths - 1)))


def may_start(service: Service, ready: set[str]) -> bool:
    """Tell whether all that a program waits for is there."""
    return set(service.after) <= ready


def stop_groups(services: tuple[Service, ...]) -> list[tuple[Service, ...]]:
    """Return the programs that stay, in the groups in which they stop."""
    staying = [service for service in services if not service.one_shot]
    orders = sorted({service.stop_order for service in staying})
    return [tuple(one for one in staying if one.stop_order == order) for order in orders]
