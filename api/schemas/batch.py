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
    """Where to tell of a batch's end."""

    url: str


@dataclass(frozen=True, slots=True)
class BatchSpec:
    """What holds for all jobs of a batch."""

    defaults: dict[str, Any] = field(default_factory=dict)
    on_invalid: str = "reject"
    webhook: BatchWebhook | None = None

    @property
    def skips(self) -> bool:
        """Whether bad jobs are left out, and the others taken."""
        return self.on_invalid == "skip"


class JobDefaultsSchema(JobSchema):
    """Any members of a job."""

    kind = Choice(KINDS)


class DefaultsField(StrictField):
    """Any members of a job, each checked as in a job; whether they make one is seen when they are merged."""

    def check(self, value: Any) -> dict[str, Any]:
        """Return the members as they came."""
        if not isinstance(value, dict):
            raise ValidationError("Must be an object.")
        errors: dict[str, Any] = {}
        for name, each in value.items():
            try:
                _check_member(name, each)
            except ValidationError as error:
                errors[name] = error.messages
        if errors:
            raise ValidationError(errors)
        return value

    def json_schema(self, converter: Any) -> dict[str, Any]:
        """Describe a job of which nothing is required."""
        reference: dict[str, Any] = converter.resolve_nested_schema(_members)
        return reference


class JobsField(StrictField):
    """A list of jobs, of which only the length is looked at here."""

    def check(self, value: Any) -> None:
        """Refuse what is no list, or a list of too few or too many."""
        if not isinstance(value, list):
            raise ValidationError("Must be a list.")
        if not 1 <= len(value) <= MAX_JOBS:
            raise ValidationError(f"Must have 1 to {MAX_JOBS} items.")

    def json_schema(self, converter: Any) -> dict[str, Any]:
        """Describe a list of jobs."""
        items = converter.resolve_nested_schema(_job)
        return {"type": "array", "items": items, "minItems": 1, "maxItems": MAX_JOBS}


class BatchWebhookSchema(StrictSchema):
    """Where to tell of a batch's end: `batch.finished` is posted there."""

    url = WebhookUrlField(required=True)
    events = StrictList(
        Choice((BATCH_FINISHED,)),
        minimum=1,
        maximum=1,
        default=(BATCH_FINISHED,),
        description="There is one, so far.",
    )

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> BatchWebhook:
        return BatchWebhook(data["url"])


class BatchSchema(StrictSchema):
    """Jobs; what a job does not say, it takes from `defaults`. `output`, `metadata` and `fields` are merged member by member."""

    jobs = JobsField(required=True)
    defaults = DefaultsField(description="A job's own member wins.")
    on_invalid = Choice(
        ("reject", "skip"), default="reject", description="What a wrong job does to the others."
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
