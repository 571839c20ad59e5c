"""One OpenAI-compatible server: a call, bounded in time and bytes, and what each kind of failure means.

Nobody else retries: the SDK is told not to. What a server showed that it cannot do is remembered as long as the process
lives: a strict JSON schema first, then JSON without one, then text.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.errors import ModelRefused
from tasks.deadlines import TookTooLong, within
from tasks.providers.circuit_breaker import Breaker
from tasks.script.model_replies import (
    Answer,
    Busy,
    Garbled,
    Reply,
    TooLong,
    has_no_credit,
    is_about_roles,
    is_about_the_format,
    is_too_long,
    reply,
    retry_after,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Message = dict[str, str]

log = logging.getLogger(__name__)

STRICT, JSON, TEXT = range(3)  # how much of the form a server can be asked to keep
OK = 200
_TRY_AGAIN = (408, 409, 425, 429)
# A request that a server cannot use; some call that an error of their own.
_UNUSABLE = (400, 413, 415, 422, 500, 501)


@dataclass(frozen=True, slots=True)
class Model:
    """A model and where it is. Times are seconds; `context` is how many characters of source text it is given at once."""

    name: str
    base_url: str
    api_key: str = field(default="", repr=False)
    connect: float = 5.0
    read: float = 60.0
    deadline: float = 180.0
    most_bytes: int = 4 * 1024 * 1024
    context: int = 40_000


class Endpoint:
    """A model's server, and what this process has learnt of it."""

    def __init__(self, model: Model, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.model = model
        self.breaker = Breaker(clock)
        self.mode = STRICT
        self.context = model.context
        self.has_system = True

    def ask(self, messages: Sequence[Message], form: dict[str, Any], stop: Callable[[], bool]) -> Reply:
        """Return the model's answer in JSON of this form; or raise Busy, TooLong, ModelRefused or Stopped."""
        while True:
            try:
                answer = self._call(self._request(messages, form), stop)
            except _Unknown as error:
                self._learn(error)
            except Busy:
                self.breaker.failed()
                raise
            else:
                self.breaker.succeeded()
                return answer

    def _learn(self, unknown: _Unknown) -> None:
        if unknown.what == "format":
            self.mode += 1
        else:
            self.has_system = False
        log.info(
            "llm_asked_plainer",
            extra={"model": self.model.name, "mode": self.mode, "system": self.has_system},
        )

    def _request(self, messages: Sequence[Message], form: dict[str, Any]) -> dict[str, Any]:
        system, *talk = messages
        request: dict[str, Any] = {"model": self.model.name}
        if self.mode == STRICT:
            schema = {"name": "answer", "strict": True, "schema": form}
            request["response_format"] = {"type": "json_schema", "json_schema": schema}
        else:
            system = {**system, "content": f"{system['content']}\n\n{_form_in_words(form)}"}
            request |= {"response_format": {"type": "json_object"}} if self.mode == JSON else {}
        if self.has_system:
            return request | {"messages": [system, *talk]}
        first = {**talk[0], "content": f"{system['content']}\n\n{talk[0]['content']}"}
        return request | {"messages": [first, *talk[1:]]}

    def _call(self, request: dict[str, Any], stop: Callable[[], bool]) -> Reply:
        # The SDK takes 35 MB, which a worker that only renders need not hold.
        from tasks.script import model_request  # noqa: PLC0415

        try:
            answer = within(self.model.deadline, stop, lambda: model_request.complete(self.model, request))
        except TookTooLong as error:
            raise Busy("The model's server took too long.") from error
        if answer.status != OK:
            raise self._refusal(answer)
        try:
            return reply(answer.body)
        except Garbled as error:
            raise Busy(str(error)) from error

    def _refusal(self, answer: Answer) -> Exception:
        """Tell apart what waiting changes, what a plainer request changes, and what nothing changes."""
        status, body = answer.status, answer.body
        log.warning("llm_refused", extra={"model": self.model.name, "status": status})
        if status == 429 and has_no_credit(body):
            return ModelRefused("The language model's account has no credit left.")
        if status in _UNUSABLE and (plainer := self._plainer(body)):
            return plainer
        if status in _TRY_AGAIN or status >= 500:
            wait = retry_after(answer.headers, datetime.now(UTC))
            return Busy(f"The model's server answered {status}.", wait)
        return ModelRefused(f"The language model's server refused the request ({status}).")

    def _plainer(self, body: bytes) -> Exception | None:
        """Return what to ask more plainly, if a refusal says so and it can be."""
        if is_too_long(body):
            return TooLong()
        if self.has_system and is_about_roles(body):
            return _Unknown("system")
        return _Unknown("format") if self.mode < TEXT and is_about_the_format(body) else None


class _Unknown(Exception):
    """The server does not know something that it was asked."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def _form_in_words(form: dict[str, Any]) -> str:
    return f"Answer with one JSON object and nothing else. It must be valid by this JSON Schema: {json.dumps(form)}"
