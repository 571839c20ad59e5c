"""From a brief to a script: by the first of the models that gives a good one, or by the outliner where there is no model."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.errors import ModelRefused, ModelUnavailable, ScriptInvalid, ServiceError
from shared.processes.ffmpeg import Stopped
from tasks.deadlines import rest
from tasks.script.model_dialogue import Dialogue
from tasks.script.model_replies import Busy, TooLong
from tasks.script.outline import Outline, outline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.script.values import Brief
    from tasks.script.model import Endpoint
    from tasks.script.model_replies import Reply

log = logging.getLogger(__name__)

TRIES = 3  # calls to one endpoint for one answer
LONGEST_WAIT = 10.0  # seconds that a worker's slot sleeps; past it, the job waits in the queue
LEAST_CONTEXT = 2000  # characters; a model that reads less cannot write a script
CHARACTERS_A_TOKEN = 4  # OpenAI's rule of thumb for English
_BACK_OFF = 0.5


@dataclass(frozen=True, slots=True)
class Written:
    """A script as a document that the script's schema takes, who wrote it, and what it cost."""

    script: dict[str, Any]
    model: str
    tokens: int = 0
    warnings: tuple[str, ...] = ()


class Meter:
    """Hears of each call to a model: here it lets everything pass."""

    def before(self, characters: int) -> None:
        """Hear that so much is about to be sent, or raise QuotaExceeded to prevent it."""

    def after(self, tokens: int) -> None:
        """Hear what the call used."""


FREE = Meter()


def write(
    brief: Brief,
    endpoints: Sequence[Endpoint] = (),
    *,
    pictures: bool = False,
    stop: Callable[[], bool] = lambda: False,
    sleep: Callable[[float], None] = time.sleep,
    meter: Meter = FREE,
) -> Written:
    """Write a script.

    Raise ModelUnavailable when trying later may help, ModelRefused or ScriptInvalid when it would not, and Stopped.
    With `pictures` a model may ask for stock pictures; each has a gradient to fall back on.
    """
    if not endpoints:
        made = outline(brief)
        return Written(made.document, "outline", 0, made.warnings)
    failures: list[ServiceError] = []
    tokens = 0
    for endpoint in endpoints:
        closed = endpoint.breaker.wait()
        if closed:
            failures.append(ModelUnavailable("The language model failed too often just now.", closed))
            continue
        patient = _Patient(endpoint, stop, sleep, meter)
        try:
            made = _told(brief, endpoint, patient, pictures=pictures)
        except (ModelUnavailable, ModelRefused, ScriptInvalid) as error:
            log.warning("llm_failed", extra={"model": endpoint.model.name, "reason": error.detail})
            failures.append(error)
        else:
            return Written(made.document, endpoint.model.name, tokens + patient.tokens, made.warnings)
        tokens += patient.tokens
    raise _worth_telling(failures)


def _told(brief: Brief, endpoint: Endpoint, patient: _Patient, *, pictures: bool) -> Outline:
    """Talk with one endpoint; where the text is too long for it, in ever smaller parts, and remember how small."""
    while True:
        try:
            return Dialogue(brief, patient.ask, pictures=pictures, context=endpoint.context).script()
        except TooLong as error:
            # What was refused is no longer than the text, even where the endpoint was thought to read more.
            known = min(endpoint.context, len(brief.source_text or ""))
            if known < LEAST_CONTEXT:
                raise ModelRefused("The brief is too long for the language model.") from error
            endpoint.context = known // 2


def _worth_telling(failures: Sequence[ServiceError]) -> ServiceError:
    """Return the failure that leaves most hope: the one to be tried again soonest, else a bad script, else a refusal."""
    later = [error for error in failures if isinstance(error, ModelUnavailable)]
    if later:
        return min(later, key=lambda error: error.retry_after or 0.0)
    return next((error for error in failures if isinstance(error, ScriptInvalid)), failures[-1])


class _Patient:
    """The one owner of retries: asks an endpoint again where that may help, and counts what it costs."""

    def __init__(
        self, endpoint: Endpoint, stop: Callable[[], bool], sleep: Callable[[float], None], meter: Meter
    ) -> None:
        self._endpoint, self._stop, self._sleep, self._meter = endpoint, stop, sleep, meter
        self.tokens = 0

    def ask(self, messages: Sequence[dict[str, str]], form: dict[str, Any]) -> Reply:
        """Return the endpoint's reply, after at most TRIES calls."""
        for tries in range(1, TRIES + 1):
            if self._stop():
                raise Stopped
            self._meter.before(sum(len(message["content"]) for message in messages))
            try:
                reply = self._endpoint.ask(messages, form, self._stop)
            except Busy as error:
                wait = error.retry_after
                if tries == TRIES or (wait or 0.0) > LONGEST_WAIT or self._endpoint.breaker.is_open:
                    raise _unavailable(error) from error
                jitter = random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
                rest(_BACK_OFF * 2**tries * jitter if wait is None else wait, self._stop, self._sleep)
            else:
                # Some servers do not say what a call used; it is paid for all the same.
                tokens = reply.tokens or _likely(messages, reply)
                self.tokens += tokens
                self._meter.after(tokens)
                return reply
        raise AssertionError


def _likely(messages: Sequence[dict[str, str]], reply: Reply) -> int:
    """Return about how many tokens were read and written."""
    return (sum(len(message["content"]) for message in messages) + len(reply.content)) // CHARACTERS_A_TOKEN


def _unavailable(error: Busy) -> ModelUnavailable:
    detail = str(error)
    return (
        ModelUnavailable(detail) if error.retry_after is None else ModelUnavailable(detail, error.retry_after)
    )
