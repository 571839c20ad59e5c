"""Problem documents (RFC 9457): why a request was refused, or why a task failed."""

from __future__ import annotations

from dataclasses import dataclass

from scenemill.types.value import Value


@dataclass(frozen=True)
class WrongPlace(Value):
    """A wrong place in what was sent: its JSON pointer, and what is wrong there."""

    pointer: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Problem(Value):
    """A problem document. `code` is stable, `detail` is for people, `type` is a page that explains it."""

    type: str = ""
    code: str = ""
    title: str = ""
    status: int = 0
    detail: str = ""
    instance: str = ""
    request_id: str = ""
    errors: tuple[WrongPlace, ...] = ()
