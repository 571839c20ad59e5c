"""A program of the local stack as a value: how it starts, when it is ready, how it stops, when it restarts."""

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
# A program that ran this long was healthy: its next death counts as the first.
STABLE_SECONDS = 15.0


class Program(Protocol):
    """A running program: a `subprocess.Popen`, or one that the fork server forked."""

    @property
    def pid(self) -> int:
        """The process id."""
        ...

    @property
    def stdout(self) -> IO[bytes] | None:
        """The program's output."""
        ...

    @property
    def returncode(self) -> int | None:
        """The exit code, None while it runs."""
        ...

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code, or raise TimeoutExpired."""
        ...

    def send_signal(self, sig: int, /) -> None:
        """Send it a signal, unless it has ended."""
        ...

    def kill(self) -> None:
        """Kill it."""
        ...


@dataclass(frozen=True)
class Service:
    """One program. `after`: what must be ready first. A `one_shot` program is ready once it has ended with 0."""

    name: str
    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str] = field(repr=False)
    after: tuple[str, ...] = ()
    ready: Callable[[], bool] | None = None
    launch: Callable[[Service], Program] | None = None  # starts it, if not `start_program`
    one_shot: bool = False
    hides_output: bool = False  # its output, which holds a key, stays out of the log
    start_seconds: float = 120.0
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    stop_order: int = 0  # lower numbers stop first, equal ones together
    grace: float = 5.0
    owner: Owner = CURRENT_USER


def pause_before_restart(deaths: int) -> float:
    """Return the seconds before a program restarts, after so many deaths in a row."""
    return float(min(MAX_PAUSE, FIRST_PAUSE * 2.0 ** (deaths - 1)))


def may_start(service: Service, ready: set[str]) -> bool:
    """Return whether everything that a program depends on is ready."""
    return set(service.after) <= ready


def stop_groups(services: tuple[Service, ...]) -> list[tuple[Service, ...]]:
    """Return the long-running programs in the groups in which they stop."""
    staying = [service for service in services if not service.one_shot]
    orders = sorted({service.stop_order for service in staying})
    return [tuple(one for one in staying if one.stop_order == order) for order in orders]
