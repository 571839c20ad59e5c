"""A webhook receiver that verifies nothing and forgets nothing; it fails in the ways that it is told to."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.loopback.server import Loopback

if TYPE_CHECKING:
    from tests.loopback.server import Asked, Behaviour, Handler


class Receiver(Loopback):
    """Answers 204, after what is planned (`then`, `always`) has been done."""

    def __init__(self) -> None:
        super().__init__()
        self.__enter__()

    @property
    def url(self) -> str:
        return f"{self.root}/hook"

    def serve(self, handler: Handler, _: Asked) -> None:
        handler.answer(204, b"")

    def ids(self) -> list[str]:
        """Return the ids of what has come, each as often as it came."""
        return [asked.headers["webhook-id"] for asked in list(self.requests)]

    def close(self) -> None:
        self.__exit__()


def answers(status: int, **headers: str) -> Behaviour:
    return lambda handler, _: handler.answer(status, b"", **headers)


def slowly(seconds: float) -> Behaviour:
    """Take one's time, then answer well."""

    def behave(handler: Handler, _: Asked) -> None:
        time.sleep(seconds)
        handler.answer(204, b"")

    return behave
