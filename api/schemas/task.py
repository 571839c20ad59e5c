"""Schemas of tasks, their results and artifacts, and of batches."""

from __future__ import annotations

from marshmallow import Schema, fields

from api.schemas.job import KINDS, PRIORITIES
from api.schemas.response_fields import RawJson, Timestamp
from api.schemas.responses import FieldErrorSchema, ProblemSchema
from shared.script.schema.script import ScriptSchema
from shared.states import Stage, State


class ArtifactSchema(Schema):
    """A file that a task produced."""

    name = fields.String()
    media_type = fields.String()
    bytes = fields.Integer()
    sha256 = fields.String()
    width = fields.Integer(allow_none=True)
    height = fields.Integer(allow_none=True)
    duration = fields.Float(allow_none=True)
    url = fields.String()
    signed_url = fields.String(
        metadata={"description": "An absolute URL that needs no key; only if it is asked for. It expires."}
    )


class UsageSchema(Schema):
    """The resources that a task used."""

    render_seconds = fields.Float()
    cached_segments = fields.Integer()
    rendered_segments = fields.Integer()
    llm_tokens = fields.Integer()
    speech_characters = fields.Integer()
    images = fields.Integer()


class CreditSchema(Schema):
    """The author of a scene's stock picture or clip."""

    scene = fields.String()
    provider = fields.String()
    author = fields.String()
    author_url = fields.String()
    page = fields.String()
    asset_id = fields.UUID()


class ResultSchema(Schema):
    """What a task produced. A video has a duration and artifacts; a script from a brief names the model that wrote it."""

    script = RawJson(ScriptSchema)
    duration = fields.Float()
    artifacts = fields.List(fields.Nested(ArtifactSchema))
    model = fields.String(
        metadata={"description": "The model that wrote the script; `outline` where none is configured."}
    )
    cached = fields.Boolean(metadata={"description": "Whether the script came from the cache."})
    usage = fields.Nested(UsageSchema)
    encoder = fields.String(metadata={"description": "The video encoder: `libx264`, or a hardware encoder."})
    warnings = fields.List(fields.String())
    credits = fields.List(fields.Nested(CreditSchema))


class SceneStatusSchema(Schema):
    """The progress of a scene."""

    id = fields.String()
    status = fields.String(metadata={"enum": ["waiting", "rendering", "done"]})
    progress = fields.Float()
    cached = fields.Boolean()


class TaskSchema(Schema):
    """A task: the run of a job."""

    task_id = fields.UUID()
    kind = fields.String(metadata={"enum": list(KINDS)})
    status = fields.String(metadata={"enum": [str(state) for state in State]})
    stage = fields.String(allow_none=True, metadata={"enum": [*map(str, Stage), None]})
    progress = fields.Float(metadata={"minimum": 0, "maximum": 1})
    attempt = fields.Integer()
    priority = fields.String(metadata={"enum": list(PRIORITIES)})
    custom_id = fields.String(allow_none=True)
    batch_id = fields.UUID(allow_none=True)
    template_id = fields.String(allow_none=True)
    template_version = fields.Integer(
        allow_none=True, metadata={"description": "The version of the template that was used."}
    )
    metadata = fields.Dict(keys=fields.String(), values=fields.String())
    created_at = Timestamp()
    started_at = Timestamp(allow_none=True)
    finished_at = Timestamp(allow_none=True)
    expires_at = Timestamp(allow_none=True)
    scenes = fields.List(fields.Nested(SceneStatusSchema))
    result = RawJson(ResultSchema, nullable=True)
    error = RawJson(ProblemSchema, nullable=True)
    links = fields.Dict(keys=fields.String(), values=fields.String())


class TaskPageSchema(Schema):
    """A page of tasks, newest first."""

    data = fields.List(fields.Nested(TaskSchema))
    next_cursor = fields.String(allow_none=True)


class SkippedSchema(Schema):
    """A job that was skipped because it is invalid."""

    index = fields.Integer(metadata={"description": "Its index in the request, from 0."})
    errors = fields.List(fields.Nested(FieldErrorSchema))


class AcceptedBatchSchema(Schema):
    """An accepted batch."""

    batch_id = fields.UUID()
    counts = fields.Dict(keys=fields.String(), values=fields.Integer())
    task_ids = fields.List(fields.UUID(), metadata={"description": "In the order of the request."})
    skipped = fields.List(fields.Nested(SkippedSchema))


class BatchStatusSchema(Schema):
    """The progress of a batch, with its tasks counted by status."""

    batch_id = fields.UUID()
    status = fields.String(metadata={"enum": ["running", "finished"]})
    progress = fields.Float(metadata={"minimum": 0, "maximum": 1})
    counts = fields.Dict(keys=fields.String(), values=fields.Integer())
    created_at = Timestamp()
    finished_at = Timestamp(allow_none=True)
