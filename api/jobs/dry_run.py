"""Dry runs: check a job, predict its timeline and estimate its cost, without accepting it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flask import Response, g, jsonify
from marshmallow import Schema, fields

from api.http.caller import account_id
from api.http.request_context import config, json_body
from api.jobs.estimate import estimate_job
from api.jobs.references import check_webhook_urls, resolve_references
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
    from sqlalchemy.orm import Session

    from api.schemas.job import JobSpec


class SceneTimeSchema(Schema):
    """The predicted time of a scene, in seconds."""

    id = fields.String()
    start = fields.Float()
    duration = fields.Float()
    exact = fields.Boolean(metadata={"description": "False where the length of narration is estimated."})


class EstimateSchema(Schema):
    """The estimated resources of a job."""

    duration = fields.Float(allow_none=True, metadata={"description": "Length of the video in seconds."})
    render_seconds = fields.Float()
    llm_tokens = fields.Integer()
    speech_characters = fields.Integer()
    images = fields.Integer(metadata={"description": "Images that a model would generate."})
    cost = fields.Float(metadata={"description": "By the current prices, assuming that nothing is cached."})


class DryRunSchema(Schema):
    """The outcome of a dry run."""

    valid = fields.Boolean()
    errors = fields.List(fields.Nested(FieldErrorSchema))
    warnings = fields.List(fields.String())
    timeline = fields.List(fields.Nested(SceneTimeSchema), allow_none=True)
    estimate = fields.Nested(EstimateSchema, allow_none=True)


def dry_run() -> Response:
    """Return the dry run of the job in the request's body: 200 also for an invalid job, with its errors."""
    document = json_body()
    try:
        spec = offload.run_if_large(g.body_size, load, JobSchema(), document)
        check_webhook_urls([spec], ["#"])
        # The locks on its assets end with this transaction, which writes nothing.
        with transaction() as session:
            (spec,) = resolve_references(session, [spec], ["#"])
            recordings = _recording_seconds(session, spec)
    except Invalid as error:
        invalid = {"valid": False, "errors": error.problem()["errors"], "warnings": [], "timeline": None}
        return jsonify({**invalid, "estimate": None})
    result = estimate_job(
        spec,
        recordings,
        has_model=bool(config().llm_endpoints()),
        has_speech_server=bool(config().speech_endpoints()),
    )
    result["estimate"]["cost"] = price = _cost(result["estimate"])
    if spec.budget is not None and price > spec.budget:
        result["warnings"].append("The job would cost more than its budget, and end with quota-exceeded.")
    return jsonify(DryRunSchema().dump(result))


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


def _recording_seconds(session: Session, spec: JobSpec) -> dict[str, Fraction]:
    """Return the length in seconds of each uploaded voice-over, by its `src`."""
    scenes = spec.script.scenes if spec.script else ()
    named = {scene.narration.src for scene in scenes if scene.narration and scene.narration.src}
    ids = {src: UUID(name) for src in named if (name := asset_id(src))}
    assets = {src: listing.find_asset(session, account_id(), stored_id) for src, stored_id in ids.items()}
    return {
        src: Fraction(str(asset.facts["duration"]))
        for src, asset in assets.items()
        if asset and asset.facts.get("duration")
    }
