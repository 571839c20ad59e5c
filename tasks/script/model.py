"""One language model on an OpenAI-compatible server: its requests, and what each kind of failure means.

It retries nothing: `writing` does, and the SDK's retries are off. A feature that the server rejects is not used again in
this process: strict JSON Schema first, then JSON mode, then the system role.
"""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.errors import ModelRefused
from tasks.deadlines import DeadlineExceeded, call_with_deadline
from tasks.providers.circuit_breaker import CircuitBreaker
from tasks.providers.retry import TransientFailure, is_out_of_credit, is_retryable, parse_retry_after
from tasks.script import model_request
from tasks.script.model_replies import (
    PromptTooLong,
    Reply,
    UnreadableReply,
    is_format_refusal,
    is_length_refusal,
    is_role_refusal,
    parse_reply,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasks.providers.bounded_http import Response
    from tasks.script.model_request import ModelConfig

Message = dict[str, str]

log = logging.getLogger(__name__)

STRICT_SCHEMA, JSON_OBJECT, PLAIN_TEXT = range(3)  # how strictly the server can enforce a JSON schema
OK = 200
# Statuses of a request that the server cannot use; some servers answer 500 to an unknown parameter.
_UNUSABLE = (400, 413, 415, 422, 500, 501)


class ModelEndpoint:
    """A model's server, its circuit breaker, and the features that this process found it to lack."""

    def __init__(self, model: ModelConfig, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.model = model
        self.breaker = CircuitBreaker(clock)
        self.mode = STRICT_SCHEMA
        self.context = model.context
        self.takes_system_role = True

    def ask(self, messages: Sequence[Message], form: dict[str, Any], stop: Callable[[], bool]) -> Reply:
        """Return the model's reply to a schema; raise TransientFailure, PromptTooLong, ModelRefused or Stopped."""
        while True:
            try:
                return self._call(self._request(messages, form), stop)
            except _FeatureUnknown as error:
                self._downgrade(error)

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
        try:
            answer = call_with_deadline(
                self.model.deadline, stop, lambda: model_request.complete(self.model, request)
            )
        except DeadlineExceeded as error:
            raise TransientFailure("The model's server took too long.") from error
        if answer.status != OK:
            raise self._refusal(answer)
        try:
            return parse_reply(answer.body)
        except UnreadableReply as error:
            raise TransientFailure(str(error)) from error

    def _refusal(self, answer: Response) -> Exception:
        """Return the exception for a refusal: one that may pass, one that a plainer request avoids, or a final one."""
        status, body = answer.status, answer.body
        log.warning("llm_refused", extra={"model": self.model.name, "status": status})
        if is_out_of_credit(status, body):
            return ModelRefused("The language model's account has no credit left.")
        if status in _UNUSABLE and (plainer := self._downgrade_for(body)):
            return plainer
        if is_retryable(status):
            wait = parse_retry_after(answer.headers, datetime.now(UTC))
            return TransientFailure(f"The model's server answered {status}.", wait)
        return ModelRefused(f"The language model's server refused the request ({status}).")

    def _downgrade_for(self, body: bytes) -> Exception | None:
        """Return the exception that leads to a plainer request, where the refusal is about a feature."""
        if is_length_refusal(body):
            return PromptTooLong()
        if self.takes_system_role and is_role_refusal(body):
            return _FeatureUnknown("system")
        return _FeatureUnknown("format") if self.mode < PLAIN_TEXT and is_format_refusal(body) else None


class _FeatureUnknown(Exception):
    """The server does not support a feature of the request."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.feature = what


def _schema_instruction(form: dict[str, Any]) -> str:
    return f"Answer with one JSON object and nothing else. It must be valid by this JSON Schema: {json.dumps(form)}"
