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
from tasks.deadlines import DeadlineExceeded, call_with_deadline
from tasks.providers.circuit_breaker import CircuitBreaker
from tasks.script.model_replies import (
    ModelBusy,
    PromptTooLong,
    Reply,
    Response,
    UnreadableReply,
    is_format_refusal,
    is_length_refusal,
    is_out_of_credit,
    is_role_refusal,
    parse_reply,
    parse_retry_after,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Message = dict[str, str]

log = logging.getLogger(__name__)

STRICT_SCHEMA, JSON_OBJECT, PLAIN_TEXT = range(3)  # how much of the form a server can be asked to keep
OK = 200
_TRY_AGAIN = (408, 409, 425, 429)
# A request that a server cannot use; some call that an error of their own.
_UNUSABLE = (400, 413, 415, 422, 500, 501)


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A model and where it is. Times are seconds; `context` is how many characters of source text it is given at once."""

    name: str
    base_url: str
    api_key: str = field(default="", repr=False)
    connect: float = 5.0
    read: float = 60.0
    deadline: float = 180.0
    most_bytes: int = 4 * 1024 * 1024
    context: int = 40_000


class ModelEndpoint:
    """A model's server, and what this process has learnt of it."""

    def __init__(self, model: ModelConfig, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.model = model
        self.breaker = CircuitBreaker(clock)
        self.mode = STRICT_SCHEMA
        self.context = model.context
        self.takes_system_role = True

    def ask(self, messages: Sequence[Message], form: dict[str, Any], stop: Callable[[], bool]) -> Reply:
        """Return the model's answer in JSON of this form; or raise Busy, TooLong, ModelRefused or Stopped."""
        while True:
            try:
                answer = self._call(self._request(messages, form), stop)
            except _FeatureUnknown as error:
                self._downgrade(error)
            except ModelBusy:
                self.breaker.record_failure()
                raise
            else:
                self.breaker.record_success()
                return answer

    def _downgrade(self, unknown: _FeatureUnknown) -> None:
        if unknown.feature == "format":
            self.mode += 1
        else:
            self.takes_system_role = False
        log.info(
            "llm_request_simplified",
            extra={"model": self.model.name, "mode": self.mode, "system": self.takes_system_role},
        )

    def _request(self, messages: Sequence[Message], form: dict[str, Any]) -> dict[str, Any]:
        system, *talk = messages
        request: dict[str, Any] = {"model": self.model.name}
        if self.mode == STRICT_SCHEMA:
            schema = {"name": "answer", "strict": True, "schema": form}
            request["response_format"] = {"type": "json_schema", "json_schema": schema}
        else:
            system = {**system, "content": f"{system['content']}\n\n{_schema_instruction(form)}"}
            request |= {"response_format": {"type": "json_object"}} if self.mode == JSON_OBJECT else {}
        if self.takes_system_role:
            return request | {"messages": [system, *talk]}
        first = {**talk[0], "content": f"{system['content']}\n\n{talk[0]['content']}"}
        return request | {"messages": [first, *talk[1:]]}

    def _call(self, request: dict[str, Any], stop: Callable[[], bool]) -> Reply:
        # The SDK takes 35 MB, which a worker that only renders need not hold.
        from tasks.script import model_request  # noqa: PLC0415

        try:
            answer = call_with_deadline(
                self.model.deadline, stop, lambda: model_request.complete(self.model, request)
            )
        except DeadlineExceeded as error:
            raise ModelBusy("The model's server took too long.") from error
        if answer.status != OK:
            raise self._refusal(answer)
        try:
            return parse_reply(answer.body)
        except UnreadableReply as error:
            raise ModelBusy(str(error)) from error

    def _refusal(self, answer: Response) -> Exception:
        """Tell apart what waiting changes, what a plainer request changes, and what nothing changes."""
        status, body = answer.status, answer.body
        log.warning("llm_refused", extra={"model": self.model.name, "status": status})
        if status == 429 and is_out_of_credit(body):
            return ModelRefused("The language model's account has no credit left.")
        if status in _UNUSABLE and (plainer := self._downgrade_for(body)):
            return plainer
        if status in _TRY_AGAIN or status >= 500:
            wait = parse_retry_after(answer.headers, datetime.now(UTC))
            return ModelBusy(f"The model's server answered {status}.", wait)
        return ModelRefused(f"The language model's server refused the request ({status}).")

    def _downgrade_for(self, body: bytes) -> Exception | None:
        """Return what to ask more plainly, if a refusal says so and it can be."""
        if is_length_refusal(body):
            return PromptTooLong()
        if self.takes_system_role and is_role_refusal(body):
            return _FeatureUnknown("system")
        return _FeatureUnknown("format") if self.mode < PLAIN_TEXT and is_format_refusal(body) else None


class _FeatureUnknown(Exception):
    """The server does not know something that it was asked."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.feature = what


def _schema_instruction(form: dict[str, Any]) -> str:
    return f"Answer with one JSON object and nothing else. It must be valid by this JSON Schema: {json.dumps(form)}"
