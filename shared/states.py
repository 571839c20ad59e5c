"""The states of jobs and segments, and the allowed moves between them. No I/O."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """The state of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELING = "canceling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


class Stage(StrEnum):
    """What a running job is doing."""

    WRITING = "writing"
    GATHERING = "gathering"
    NARRATING = "narrating"
    RENDERING = "rendering"
    ASSEMBLING = "assembling"


class SegmentState(StrEnum):
    """The state of a segment."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    DROPPED = "dropped"  # its job ended first; a retry plans the segments again


UNFINISHED = (State.QUEUED, State.RUNNING, State.CANCELING)
FINISHED = (State.SUCCEEDED, State.FAILED, State.CANCELED)

MOVES: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.RUNNING, State.FAILED, State.CANCELED}),
    State.RUNNING: frozenset({State.QUEUED, State.CANCELING, State.SUCCEEDED, State.FAILED, State.CANCELED}),
    State.CANCELING: frozenset({State.CANCELED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset({State.QUEUED}),  # by a client's retry only
    State.CANCELED: frozenset({State.QUEUED}),  # by a client's retry only
}
