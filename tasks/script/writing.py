"""From a brief to a script: by the first of the models that gives a good one, or by the outliner where there is no model."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.errors import ModelRefused, ModelUnavailable, ScriptInvalid, ServiceError
from shared.processes.ffmpeg import Stopped
from tasks.deadlines import sleep_unless_stopped
from tasks.script.model_dialogue import Dialogue
from tasks.script.model_replies import ModelBusy, PromptTooLong
from tasks.script.outline import Outline, write_outline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.script.values import Brief
    from tasks.script.model import ModelEndpoint
    from tasks.script.model_replies import Reply

log = logging.getLogger(__name__)

MAX_CALLS = 3  # calls to one endpoint for one answer
MAX_SLEEP_SECONDS = 10.0  # seconds that a worker's slot sleeps; past it, the job waits in the queue
MIN_CONTEXT = 2000  # characters; a model that reads less cannot write a script
CHARACTERS_PER_TOKEN = 4  # OpenAI's rule of thumb for English
_BACK_OFF = 0.5


@dataclass(frozen=True, slots=True)
class WrittenScript:
    """A script as a document that the script's schema takes, who wrote it, and what it cost."""

    script: dict[str, Any]
    model: str
    tokens: int = 0
    warnings: tuple[str, ...] = ()


class Meter:
    """Hears of each call to a model: here it lets everything pass."""

    def before_call(self, characters: int) -> None:
        """Hear that so much is about to be sent, or raise QuotaExceeded to prevent it."""

    def after_call(self, tokens: int) -> None:
        """Hear what the call used."""


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
    """Write a script.

    Raise ModelUnavailable when trying later may help, ModelRefused or ScriptInvalid when it would not, and Stopped.
    With `pictures` a model may ask for stock pictures; each has a gradient to fall back on.
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
    """Talk with one endpoint; where the text is too long for it, in ever smaller parts, and remember how small."""
    while True:
        try:
            return Dialogue(brief, retrying.ask, pictures=pictures, context=endpoint.context).write_script()
        except PromptTooLong as error:
            # What was refused is no longer than the text, even where the endpoint was thought to read more.
            known = min(endpoint.context, len(brief.source_text or ""))
            if known < MIN_CONTEXT:
                raise ModelRefused("The brief is too long for the language model.") from error
            endpoint.context = known // 2


def _most_hopeful(failures: Sequence[ServiceError]) -> ServiceError:
    """Return the failure that leaves most hope: the one to be tried again soonest, else a bad script, else a refusal."""
    later = [error for error in failures if isinstance(error, ModelUnavailable)]
    if later:
        return min(later, key=lambda error: error.retry_after or 0.0)
    return next((error for error in failures if isinstance(error, ScriptInvalid)), failures[-1])


class _RetryingEndpoint:
    """The one owner of retries: asks an endpoint again where that may help, and counts what it costs."""

    def __init__(
        self, endpoint: ModelEndpoint, stop: Callable[[], bool], sleep: Callable[[float], None], meter: Meter
    ) -> None:
        self._endpoint, self._stop, self._sleep, self._meter = endpoint, stop, sleep, meter
        self.tokens = 0

    def ask(self, messages: Sequence[dict[str, str]], form: dict[str, Any]) -> Reply:
        """Return the endpoint's reply, after at most TRIES calls."""
        for tries in range(1, MAX_CALLS + 1):
            if self._stop():
                raise Stopped
            self._meter.before_call(sum(len(message["content"]) for message in messages))
            try:
                reply = self._endpoint.ask(messages, form, self._stop)
            except ModelBusy as error:
                wait = error.retry_after
                if tries == MAX_CALLS or (wait or 0.0) > MAX_SLEEP_SECONDS or self._endpoint.breaker.is_open:
                    raise _unavailable(error) from error
                jitter = random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
                sleep_unless_stopped(
                    _BACK_OFF * 2**tries * jitter if wait is None else wait, self._stop, self._sleep
                )
            else:
                # Some servers do not say what a call used; it is paid for all the same.
                tokens = reply.tokens or _estimate_tokens(messages, reply)
                self.tokens += tokens
                self._meter.after_call(tokens)
                return reply
        raise AssertionError


def _estimate_tokens(messages: Sequence[dict[str, str]], reply: Reply) -> int:
    """Return about how many tokens were read and written."""
    return (sum(len(message["content"]) for message in messages) + len(reply.content)) // CHARACTERS_PER_TOKEN


def _unavailable(error: ModelBusy) -> ModelUnavailable:
    detail = str(error)
    return (
        ModelUnavailable(detail) if error.retry_after is None else ModelUnavailable(detail, error.retry_after)
    )
