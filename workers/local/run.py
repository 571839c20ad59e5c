"""Runs the local stack in the foreground: one per data folder, after ending what an earlier one left."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Any

from workers.local.output import StackLog
from workers.local.ports import is_free
from workers.local.programs import all_services, metrics_root
from workers.local.stack import Stack, StackOptions, plan_stack
from workers.local.state import State
from workers.local.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TextIO


class PortTaken(Exception):
    """A requested port is in use."""


class FolderTaken(Exception):
    """The data folder belongs to another user."""


def run(
    options: StackOptions,
    *,
    terminal: TextIO | None,
    verbose: bool,
    on_ready: Callable[[dict[str, Any]], bool],
) -> None:
    """Run the stack; call `on_ready` with its addresses once everything is up, and stay up if it returns True.

    The terminal gets a few notices, and with `verbose` the whole log. Raises AlreadyRunning, FolderTaken, PortTaken or
    StartFailed.
    """
    _check_owner(options.folder)
    state = State(options.folder)
    with state.locked():
        log = StackLog(options.folder / "logs", terminal, verbose=verbose)
        try:
            for name in state.end_orphans():
                log.event("orphan_ended", level="WARNING", program=name)
            _check_ports(options)
            stack = plan_stack(options)
            supervisor = Supervisor(
                all_services(stack), log, on_change=lambda: state.record(supervisor.running())
            )
            with contextlib.closing(stack.forks):
                supervisor.run(lambda: _publish_addresses(stack, supervisor, state, on_ready))
        finally:
            log.close()
            shutil.rmtree(metrics_root(options.folder), ignore_errors=True)


def _publish_addresses(
    stack: Stack, supervisor: Supervisor, state: State, on_ready: Callable[[dict[str, Any]], bool]
) -> bool:
    addresses = stack.addresses(supervisor.pids)
    state.write_addresses(addresses)
    return on_ready(addresses)


def _check_owner(folder: Path) -> None:
    """Raise FolderTaken for another user's folder, before a file in it turns out to be unreadable."""
    if os.geteuid() != 0 and folder.exists() and folder.stat().st_uid != os.geteuid():
        raise FolderTaken(f"{folder} belongs to another user. Choose another folder with --data.")


def _check_ports(options: StackOptions) -> None:
    ports = ((options.api_port, "--port", "PORT"), (options.flower_port, "--flower-port", "FLOWER_PORT"))
    for port, option, variable in ports:
        if port is not None and not is_free(port):
            raise PortTaken(
                f"Port {port} is taken by another program. Choose another port: `make up {variable}={port + 1}`, "
                f"or `scenemill up {option} {port + 1}`."
            )
