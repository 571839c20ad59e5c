"""What commands do around a request: refusals with hints."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from scenemill.cli import hints
from scenemill.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Refused(ApiError):
    """The API refused a job. Unknown members are told with those that may have been meant."""

    def __init__(self, error: ApiError, job: Any) -> None:
        super().__init__(
            error.status, error.problem.raw, request_id=error.request_id, retry_after=error.retry_after
        )
        self._job = job

    def __str__(self) -> str:
        first, *rest = super().__str__().splitlines()
        places = [f"  {pointer}: {detail}" for pointer, detail in hints.places(self.errors, self._job)]
        return "\n".join([first, *places, *rest[len(places) :]])


@contextlib.contextmanager
def refused_with_hints(job: Any) -> Iterator[None]:
    """Add to a refusal of this job what its unknown members may have meant."""
    try:
        yield
    except ApiError as error:
        raise Refused(error, job) from error
