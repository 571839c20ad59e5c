"""Writes a script from a brief: by the first configured model that gives a valid one, or by the outliner without a model."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.errors import ModelRefused, ModelUnavailable, ScriptInvalid, ServiceError
from tasks.providers.retry import TransientFailure, call_with_retries
from tasks.script.model_dialogue import Dialogue
from tasks.script.model_replies import PromptTooLong
from tasks.script.outline import Outline, write_outline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.script.values import Brief
    from tasks.script.model import ModelEndpoint
    from tasks.script.model_replies import Reply

log = logging.getLogger(__name__)

MIN_CONTEXT = 2000  # characters; a model that reads fewer cannot write a script
CHARACTERS_PER_TOKEN = 4  # OpenAI's rule of thumb for English


@dataclass(frozen=True, slots=True)
class WrittenScript:
    """A script as a document, the model that wrote it, and the tokens used."""

    script: dict[str, Any]
    model: str
    tokens: int = 0
    warnings: tuple[str, ...] = ()


class Meter:
    """Is called around each call to a model. This one allows everything."""

    def before_call(self, characters: int) -> None:
        """Allow a call with so many characters, or raise QuotaExceeded."""

    def after_call(self, tokens: int) -> None:
        """Record the tokens of a call."""


UNMETERED = Meter()


def write_script(
    brief: Brief,
    endpoints: Sequence[ModelEndpoint] = (),
    *,
    pictures: bool = False,
    stop: Callable[[], bool] = lambda: False,
    sleep: Callable[[float], None] = time.sleep,
    meter: Meter = UNMETERED,
) -> WrittenScript:
    """Return a script for the brief.

    Raise ModelUnavailable when a later try may help, ModelRefused or ScriptInvalid when it would not, and Stopped. With
    `pictures` a model may ask for stock pictures; each gets a gradient as its fallback.
    """
    if not endpoints:
        outlined = write_outline(brief)
        return WrittenScript(outlined.document, "outline", 0, outlined.warnings)
    failures: list[ServiceError] = []
    tokens = 0
    for endpoint in endpoints:
        closed = endpoint.breaker.seconds_until_allowed()
        if closed:
            failures.append(ModelUnavailable("The language model failed too often just now.", closed))
            continue
        retrying = _RetryingEndpoint(endpoint, stop, sleep, meter)
        try:
            outlined = _write_by(brief, endpoint, retrying, pictures=pictures)
        except (ModelUnavailable, ModelRefused, ScriptInvalid) as error:
            log.warning("llm_failed", extra={"model": endpoint.model.name, "reason": error.detail})
            failures.append(error)
        else:
            return WrittenScript(
                outlined.document, endpoint.model.name, tokens + retrying.tokens, outlined.warnings
            )
        tokens += retrying.tokens
    raise _most_hopeful(failures)


def _write_by(
    brief: Brief, endpoint: ModelEndpoint, retrying: _RetryingEndpoint, *, pictures: bool
) -> Outline:
    """Return one endpoint's script; where the source text exceeds its context, halve what is sent and remember that."""
    while True:
        try:
            return Dialogue(brief, retrying.ask, pictures=pictures, context=endpoint.context).write_script()
        except PromptTooLong as error:
            # The text may be shorter than the assumed context: halving the latter would send the same text again.
            known = min(endpoint.context, len(brief.source_text or ""))
            if known < MIN_CONTEXT:
                raise ModelRefused("The brief is too long for the language model.") from error
            endpoint.context = known // 2


def _most_hopeful(failures: Sequence[ServiceError]) -> ServiceError:
    """Return the failure to report: the one that can be retried soonest, else an invalid script, else a refusal."""
    later = [error for error in failures if isinstance(error, ModelUnavailable)]
    if later:
        return min(later, key=lambda error: error.retry_after or 0.0)
    return next((error for error in failures if isinstance(error, ScriptInvalid)), failures[-1])


class _RetryingEndpoint:
    """Calls an endpoint with retries, and counts the tokens."""

    def __init__(
        self, endpoint: ModelEndpoint, stop: Callable[[], bool], sleep: Callable[[float], None], meter: Meter
    ) -> None:
        self._endpoint, self._stop, self._sleep, self._meter = endpoint, stop, sleep, meter
        self.tokens = 0

    def ask(self, messages: Sequence[dict[str, str]], form: dict[str, Any]) -> Reply:
        """Return the endpoint's reply; raise ModelUnavailable after the last retry, or what the endpoint raises."""
        try:
            reply = call_with_retries(
                lambda: self._ask_once(messages, form),
                self._endpoint.breaker,
                stop=self._stop,
                sleep=self._sleep,
            )
        except TransientFailure as error:
            wait = () if error.retry_after is None else (error.retry_after,)
            raise ModelUnavailable(str(error), *wait) from error
        # Some servers do not report usage, which must not make their calls free of budgets.
        tokens = reply.tokens or _estimate_tokens(messages, reply)
        self.tokens += tokens
        self._meter.after_call(tokens)
        return reply

    def _ask_once(self, messages: Sequence[dict[str, str]], form: dict[str, Any]) -> Reply:
        self._meter.before_call(sum(len(message["content"]) for message in messages))
        return self._endpoint.ask(messages, form, self._stop)


def _estimate_tokens(messages: Sequence[dict[str, str]], reply: Reply) -> int:
    """Return about how many tokens were read and written."""
    return (sum(len(message["content"]) for message in messages) + len(reply.content)) // CHARACTERS_PER_TOKEN
