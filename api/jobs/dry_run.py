"""`?dry_run=true`: what would come of a job, without taking it."""

from __future__ import annotations

from fractions import Fraction
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec
from uuid import UUID

from flask import Response, g, jsonify
from marshmallow import Schema, fields

from api.auth import account_id
from api.http.request_context import config, json_body
from api.jobs import acceptance
from api.jobs.estimate import estimate_job
from api.schemas.job import JobSchema
from api.schemas.responses import FieldErrorSchema
from api.server import offload
from shared import usage
from shared.db import transaction
from shared.errors import Invalid
from shared.lifecycle import listing
from shared.script.schema.loading import load
from shared.script.schema.sources import asset_id
from shared.usage import UsageKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.schemas.job import JobSpec

P = ParamSpec("P")


class SceneTimeSchema(Schema):
    """When a scene would be on screen, in seconds."""

    id = fields.String()
    start = fields.Float()
    duration = fields.Float()
    exact = fields.Boolean(metadata={"description": "Whether no estimate of speech is in these numbers."})


class EstimateSchema(Schema):
    """What a job would cost, about."""

    duration = fields.Float(allow_none=True, metadata={"description": "Of the video, in seconds."})
    render_seconds = fields.Float()
    llm_tokens = fields.Integer()
    speech_characters = fields.Integer()
    images = fields.Integer(metadata={"description": "That a model would be asked for."})
    cost = fields.Float(
        metadata={"description": "Of all this by today's prices. What is stored already costs nothing."}
    )


class DryRunSchema(Schema):
    """What would come of a job."""

    valid = fields.Boolean()
    errors = fields.List(fields.Nested(FieldErrorSchema))
    warnings = fields.List(fields.String())
    timeline = fields.List(fields.Nested(SceneTimeSchema), allow_none=True)
    estimate = fields.Nested(EstimateSchema, allow_none=True)


def answers_dry_run(view: Callable[P, Any]) -> Callable[..., Any]:
    """Answer a dry run here, and leave everything else to the view."""

    @wraps(view)
    def answered(query: dict[str, Any], *args: P.args, **kwargs: P.kwargs) -> Any:
        return _dry_run_response() if query["dry_run"] else view(*args, **kwargs)

    return answered


def _dry_run_response() -> Response:
    document = json_body()
    try:
        spec = offload.run_if_large(g.body_size, load, JobSchema(), document)
        acceptance.check_webhook_urls([spec], ["#"])
        with transaction() as session:
            (spec,) = acceptance.resolve_references(session, [spec], ["#"])
            lengths = _recording_seconds(spec)
    except Invalid as error:
        wrong = {"valid": False, "errors": error.problem()["errors"], "warnings": [], "timeline": None}
        return jsonify({**wrong, "estimate": None})
    outcome = estimate_job(
        spec,
        lengths,
        asks_model=bool(config().llm_endpoints()),
        asks_speaker=bool(config().speech_endpoints()),
    )
    outcome["estimate"]["cost"] = price = _cost(outcome["estimate"])
    if spec.budget is not None and price > spec.budget:
        outcome["warnings"].append("The job would cost more than its budget, and end with quota-exceeded.")
    return jsonify(DryRunSchema().dump(outcome))


def _cost(estimate: dict[str, Any]) -> float:
    spent = {
        UsageKind.TOKENS: estimate["llm_tokens"],
        UsageKind.CHARACTERS: estimate["paid_characters"],
        UsageKind.TRANSCRIBED: estimate["paid_speech_seconds"]
        if config().speech_transcription_model
        else 0.0,
        UsageKind.IMAGES: estimate["images"],
        UsageKind.RENDER_SECONDS: estimate["render_seconds"],
    }
    return round(sum(usage.cost(kind, amount, config()) for kind, amount in spent.items()), 6)


def _recording_seconds(spec: JobSpec) -> dict[str, Fraction]:
    """Return the seconds of each uploaded recording that a scene is spoken by."""
    scenes = spec.script.scenes if spec.script else ()
    named = {scene.narration.src for scene in scenes if scene.narration and scene.narration.src}
    ids = {src: UUID(name) for src in named if (name := asset_id(src))}
    with transaction() as session:
        found = {src: listing.find_asset(session, account_id(), each) for src, each in ids.items()}
    return {
        src: Fraction(str(asset.facts["duration"]))
        for src, asset in found.items()
        if asset and asset.facts.get("duration")
    }
