"""What a worker does with a script job, and with a video whose script is not written yet."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from shared.schemas.brief import BriefSchema
from shared.schemas.canonical import dump
from shared.schemas.loading import load
from shared.schemas.script import ScriptSchema
from shared.settings import settings
from shared.states import Stage
from tasks.run import Done
from tasks.script.endpoint import Endpoint, Model
from tasks.script.write import Written, write

if TYPE_CHECKING:
    from tasks.run import Attempt


@lru_cache(maxsize=1)
def endpoints() -> tuple[Endpoint, ...]:
    """Return the models that the settings name, in order; what is learnt of each lasts as long as the process."""
    config = settings()
    models = (
        Model(name=named.model, base_url=named.base_url, api_key=named.api_key)
        for named in config.llm_endpoints()
    )
    return tuple(Endpoint(model) for model in models)


def write_for(attempt: Attempt) -> Written:
    """Write the script of the job's brief, and hear when it is no longer wanted."""
    attempt.tell(Stage.WRITING, 0.0)
    brief = load(BriefSchema(), attempt.job.spec["brief"])
    return write(brief, endpoints(), stop=attempt.unwanted)


def perform(attempt: Attempt) -> Done:
    """Write the script of the job's brief; a person may edit it before it is rendered."""
    written = write_for(attempt)
    script = dump(load(ScriptSchema(), written.script))
    usage = {"llm_tokens": written.tokens}
    result = {"script": script, "model": written.model, "usage": usage, "cached": False}
    return Done({**result, "warnings": list(written.warnings)})
