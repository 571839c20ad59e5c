"""What commands do around a request: refusals with hints."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from scenemill.cli import hints
from scenemill.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenemill.cli.hints import Posted


class Refused(ApiError):
    """The API refused a job or a batch. Each place is told with its line and what may have been meant."""

    def __init__(self, error: ApiError, posted: Posted) -> None:
        super().__init__(
            error.status, error.problem.raw, request_id=error.request_id, retry_after=error.retry_after
        )
        self._posted = posted

    def __str__(self) -> str:
        first, *rest = super().__str__().splitlines()
        places = [f"  {pointer}: {detail}" for pointer, detail in hints.places(self.errors, self._posted)]
        return "\n".join([first, *places, *rest[len(places) :]])


@contextlib.contextmanager
def refused_with_hints(posted: Posted) -> Iterator[None]:
    """Add to a refusal on which line each place stands, and what an unknown member may have meant."""
    try:
        yield
    except ApiError as error:
        raise Refused(error, posted) from error
