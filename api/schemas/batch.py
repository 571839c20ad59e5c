"""The body of POST /v1/batch: what its jobs have in common. The jobs themselves are checked by `api.batches.row_checking`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from marshmallow import ValidationError, post_load

from api.schemas.job import KINDS, JobSchema
from shared.script.schema.containers import StrictList, StrictObject
from shared.script.schema.fields import Choice, StrictField
from shared.script.schema.loading import StrictSchema
from shared.script.schema.sources import WebhookUrlField

MAX_JOBS = 10_000
BATCH_FINISHED = "batch.finished"


@dataclass(frozen=True, slots=True)
class BatchWebhook:
    """Where to post the end of a batch."""

    url: str


@dataclass(frozen=True, slots=True)
class BatchSpec:
    """What all jobs of a batch share."""

    defaults: dict[str, Any] = field(default_factory=dict)
    on_invalid: str = "reject"
    webhook: BatchWebhook | None = None

    @property
    def skips(self) -> bool:
        """Whether invalid jobs are skipped and the others accepted."""
        return self.on_invalid == "skip"


class JobDefaultsSchema(JobSchema):
    """Any members of a job, none of them required."""

    kind = Choice(KINDS)


class DefaultsField(StrictField):
    """Any members of a job, each checked as in a job. Whether they form a job is checked after they are merged."""

    def check(self, value: Any) -> dict[str, Any]:
        """Return the members unchanged."""
        if not isinstance(value, dict):
            raise ValidationError("Must be an object.")
        errors: dict[str, Any] = {}
        for name, member in value.items():
            try:
                _check_member(name, member)
            except ValidationError as error:
                errors[name] = error.messages
        if errors:
            raise ValidationError(errors)
        return value

    def json_schema(self, converter: Any) -> dict[str, Any]:
        """Describe a job without required members."""
        reference: dict[str, Any] = converter.resolve_nested_schema(_members)
        return reference


class JobsField(StrictField):
    """A list of jobs, of which only the length is checked here."""

    def check(self, value: Any) -> None:
        """Check that it is a list with an allowed number of jobs."""
        if not isinstance(value, list):
            raise ValidationError("Must be a list.")
        if not 1 <= len(value) <= MAX_JOBS:
            raise ValidationError(f"Must have 1 to {MAX_JOBS} jobs.")

    def json_schema(self, converter: Any) -> dict[str, Any]:
        """Describe a list of jobs."""
        items = converter.resolve_nested_schema(_job)
        return {"type": "array", "items": items, "minItems": 1, "maxItems": MAX_JOBS}


class BatchWebhookSchema(StrictSchema):
    """Where to post `batch.finished` when all jobs of the batch have ended."""

    url = WebhookUrlField(required=True)
    events = StrictList(
        Choice((BATCH_FINISHED,)),
        minimum=1,
        maximum=1,
        default=(BATCH_FINISHED,),
        description="The one event of batches.",
    )

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> BatchWebhook:
        return BatchWebhook(data["url"])


class BatchSchema(StrictSchema):
    """Jobs, and `defaults` for members that a job leaves out; `output`, `metadata` and `fields` are merged member by member."""

    jobs = JobsField(required=True)
    defaults = DefaultsField(description="Members of every job that does not set them itself.")
    on_invalid = Choice(
        ("reject", "skip"),
        default="reject",
        description="What an invalid job does: `reject` refuses the whole batch, `skip` accepts the others.",
    )
    webhook = StrictObject(BatchWebhookSchema)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> BatchSpec:
        del data["jobs"]
        return BatchSpec(**data)


def _check_member(name: str, value: Any) -> None:
    member = _members.load_fields.get(name)
    if member is None:
        raise ValidationError("Unknown field.")
    member.deserialize(value)


_job = JobSchema()
_members = JobDefaultsSchema()
