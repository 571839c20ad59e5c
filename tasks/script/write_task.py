"""The script task: writes the script of a brief, for a script job or for a video that came as a brief."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from shared import usage as ledger
from shared.db import transaction
from shared.script.schema.brief import BriefSchema, dump_brief
from shared.script.schema.canonical import dump_script
from shared.script.schema.loading import load
from shared.script.schema.script import ScriptSchema
from shared.settings import settings
from shared.states import Stage
from shared.usage import UsageKind
from tasks.pictures.stock_search import stock_providers
from tasks.providers import response_cache
from tasks.run import JobOutput
from tasks.script.model import ModelEndpoint
from tasks.script.model_request import ModelConfig
from tasks.script.writing import CHARACTERS_PER_TOKEN, Meter, write_script

if TYPE_CHECKING:
    from shared.models import Job
    from tasks.attempt import Attempt

# Raise it when the same brief leads to another script: else older scripts come from the cache.
REVISION = 2
ANSWER_TOKENS = 800  # of a script with about eight scenes


@lru_cache(maxsize=1)
def model_endpoints() -> tuple[ModelEndpoint, ...]:
    """Return the configured models in order. Their state (circuit breaker, known limits) lasts as long as the process."""
    config = settings()
    models = (
        ModelConfig(name=named.model, base_url=named.base_url, api_key=named.api_key)
        for named in config.llm_endpoints()
    )
    return tuple(ModelEndpoint(model) for model in models)


@dataclass(frozen=True, slots=True)
class JobScript:
    """A job's script, the model that wrote it, and the tokens used now: 0 where it came from the cache."""

    document: dict[str, Any]
    model: str
    tokens: int
    warnings: tuple[str, ...]
    cached: bool


def write_job_script(attempt: Attempt) -> JobScript:
    """Return the script of the job's brief, from the cache where the account has had the same brief before."""
    attempt.report_progress(Stage.WRITING, 0.0)
    job, config = attempt.job, settings()
    brief = load(BriefSchema(), job.spec["brief"])
    models = [endpoint.model.name for endpoint in model_endpoints()]
    if not models:
        return _job_script(
            asdict(write_script(brief)), cached=False
        )  # the outliner is free and deterministic: nothing to cache
    pictures = bool(stock_providers())
    answer = response_cache.get_or_compute(
        response_cache.cache_key("script", job.account_id, [dump_brief(brief), models, pictures, REVISION]),
        lambda: asdict(
            write_script(
                brief, model_endpoints(), pictures=pictures, stop=attempt.should_stop, meter=_BudgetMeter(job)
            )
        ),
        ttl=config.cache_ttl.total_seconds(),
        refresh=bool(job.spec.get("no_cache")),
        stop=attempt.should_stop,
    )
    return _job_script(answer.value, cached=answer.cached)


def _job_script(written: dict[str, Any], *, cached: bool) -> JobScript:
    tokens = 0 if cached else written["tokens"]
    return JobScript(written["script"], written["model"], tokens, tuple(written["warnings"]), cached)


class _BudgetMeter(Meter):
    """Checks the budget before each call, and records the tokens after it."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def before_call(self, characters: int) -> None:
        """Raise QuotaExceeded where the prompt and an answer of usual length would exceed a budget."""
        likely = characters / CHARACTERS_PER_TOKEN + ANSWER_TOKENS
        with transaction() as session:
            ledger.check_budget(session, self._job, UsageKind.TOKENS, likely, settings())

    def after_call(self, tokens: int) -> None:
        """Record the tokens of a call."""
        with transaction() as session:
            ledger.record_usage(session, self._job, UsageKind.TOKENS, tokens, settings())


def perform(attempt: Attempt) -> JobOutput:
    """Write the script of the job's brief, for a person to edit before it is rendered."""
    written = write_job_script(attempt)
    script = dump_script(load(ScriptSchema(), written.document))
    usage = {"llm_tokens": written.tokens}
    result = {"script": script, "model": written.model, "usage": usage, "cached": written.cached}
    return JobOutput({**result, "warnings": list(written.warnings)})
