"""The body of POST /v1/jobs. To add a kind of job, or an input of one: add a field, and a line to `INPUTS`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from marshmallow import ValidationError, post_load, validates_schema

from api.schemas.speakers import Speaker, speakers
from api.schemas.template import MAX_FIELDS, TEMPLATE_ID
from api.schemas.template_fields import AnyValue
from shared.script.schema.brief import BriefSchema, dump_brief
from shared.script.schema.canonical import dump_script, list_sources
from shared.script.schema.containers import SharedObject, StrictList, StrictMapping, StrictObject, load_once
from shared.script.schema.fields import Choice, PatternString, StrictInteger, StrictNumber, StrictString
from shared.script.schema.loading import StrictSchema
from shared.script.schema.output import OutputSchema, dump_output
from shared.script.schema.placeholders import NAME
from shared.script.schema.script import ScriptSchema
from shared.script.schema.sources import WebhookUrlField, asset_id
from shared.script.values import Brief, Output, Script

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.script.schema.canonical import NamedSource

KINDS = ("video", "script")
PRIORITIES = ("interactive", "normal", "bulk")
EVENTS = ("task.succeeded", "task.failed", "task.canceled")
# The inputs of each kind of job, of which it has exactly one.
INPUTS = {"video": ("script", "brief", "script_task_id", "template_id"), "script": ("brief",)}
TEMPLATE_MEMBERS = ("template_version", "fields")  # allowed beside template_id only
_YEAR = 366 * 24 * 3600
FieldError = tuple[str, str]  # a JSON pointer and what is wrong there


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where to post the end of a job."""

    url: str
    events: tuple[str, ...] = EVENTS


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A validated job. `sources` are the files that its script names and `speakers` the voices it needs, with their pointers.

    Once a template is filled, `script` is the result and `template` the template's id and version.
    """

    kind: Literal["video", "script"]
    script: Script | None = None
    brief: Brief | None = None
    script_task_id: str | None = None
    template_id: str | None = None
    template_version: int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    template: tuple[str, int] | None = None
    output: Output | None = None
    custom_id: str | None = None
    priority: Literal["interactive", "normal", "bulk"] = "normal"
    metadata: Mapping[str, str] = field(default_factory=dict)
    webhook: Webhook | None = None
    links: Mapping[str, Any] | None = None
    expires_in: int | None = None
    budget: float | None = None
    sources: tuple[NamedSource, ...] = field(default=(), compare=False)
    speakers: tuple[Speaker, ...] = field(default=(), compare=False)

    @property
    def asset_ids(self) -> frozenset[UUID]:
        """The uploaded assets that the script names."""
        return frozenset(UUID(name) for source in self.sources if (name := asset_id(source.src)))


class WebhookSchema(StrictSchema):
    """Where to post the end of a job."""

    url = WebhookUrlField(required=True)
    events = StrictList(Choice(EVENTS), minimum=1, maximum=len(EVENTS), unique=True, default=EVENTS)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Webhook:
        return Webhook(**data)


class LinksSchema(StrictSchema):
    """Signed links of the job's artifacts, in its task and its webhook."""

    expires_in = StrictInteger(
        60, _YEAR, required=True, description="Seconds that a link is valid, from when it is made."
    )


class JobSchema(StrictSchema):
    """A job: a video from a script, a brief, a template or a script task's result; or a script from a brief."""

    kind = Choice(KINDS, required=True)
    script = SharedObject(ScriptSchema)
    brief = SharedObject(BriefSchema)
    script_task_id = PatternString(
        r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "Must be a task's id.", maximum=36,
        description="A succeeded script task whose result is the script.",
    )  # fmt: skip
    template_id = PatternString(
        TEMPLATE_ID,
        "Must be a template's id.",
        maximum=64,
        description="The id of a template; GET /v1/templates lists them.",
    )
    template_version = StrictInteger(1, 2**31, description="The template's version; the newest by default.")
    fields = StrictMapping(  # type: ignore[assignment]  # marshmallow takes it from the class, and keeps its own of this name
        PatternString(NAME, "Must be a field's name.", maximum=64), AnyValue(), maximum=MAX_FIELDS, description="The template's.",
    )  # fmt: skip
    output = StrictObject(OutputSchema)
    custom_id = StrictString(64, one_line=True)
    priority = Choice(PRIORITIES, default="normal")
    metadata = StrictMapping(
        StrictString(64, one_line=True),
        StrictString(512, minimum=0),
        maximum=16,
        description="Pairs of your own, returned unchanged with the task.",
    )
    webhook = StrictObject(WebhookSchema)
    links = StrictObject(LinksSchema)
    expires_in = StrictInteger(1, _YEAR, description="Seconds to keep the artifacts after the job has ended.")
    budget = StrictNumber(
        0.000001,
        1e12,
        description="The most that the job may cost, in the currency of the configured prices.",
    )

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _check_made_of(self, _: Any, original: Any, **__: Any) -> None:
        """Check that the job has exactly one input, and one that its kind supports."""
        if not isinstance(original, dict) or original.get("kind") not in KINDS:
            return
        kind = original["kind"]
        inputs = INPUTS[kind]
        given_inputs = [name for name in original if name in inputs]
        names = ", ".join(inputs)
        unsupported = [
            name for names in INPUTS.values() for name in names if name in original and name not in inputs
        ]
        errors = {
            name: [f"A {kind} job must not have it. Remove it, or change the job's kind."]
            for name in unsupported
        }
        errors |= {name: [f"A job must have only one of {names}."] for name in given_inputs[1:]}
        if "template_id" not in original:
            errors |= {
                name: ["Needs template_id beside it."] for name in TEMPLATE_MEMBERS if name in original
            }
        if kind == "script" and "output" in original:
            errors["output"] = ["A script job must not have it."]
        if errors:
            raise ValidationError(errors)
        if not given_inputs:
            raise ValidationError(f"A {kind} job needs {'one of ' if len(inputs) > 1 else 'a '}{names}.")

    @post_load(pass_original=True)
    def _make(self, data: dict[str, Any], original: Any, **_: Any) -> JobSpec:
        if data["kind"] == "video":
            data.setdefault("output", Output())
        if "script" in data:
            data["sources"], data["speakers"] = load_once(
                original["script"], lambda: _sources_and_speakers(data, original)
            )
        elif "brief" in data and data["kind"] == "video":
            data["speakers"] = (Speaker("#/brief/language", None, data["brief"].language),)
        return JobSpec(**data)


def _sources_and_speakers(data: dict[str, Any], original: Any) -> tuple[Any, Any]:
    script, document = data["script"], original["script"]
    return list_sources(script, document, "#/script"), speakers(script, document, "#/script")


def dump_job(spec: JobSpec) -> dict[str, Any]:
    """Return the JSON that loads as `spec`, with its script resolved."""
    document = {
        "kind": spec.kind,
        "script": spec.script and dump_script(spec.script),
        "brief": spec.brief and dump_brief(spec.brief),
        "script_task_id": spec.script_task_id,
        "output": spec.output and dump_output(spec.output),
        "custom_id": spec.custom_id,
        "priority": spec.priority,
        "metadata": dict(spec.metadata),
        "webhook": spec.webhook and {"url": spec.webhook.url, "events": list(spec.webhook.events)},
        "links": spec.links and dict(spec.links),
        "expires_in": spec.expires_in,
        "budget": spec.budget,
        "template_id": spec.template_id,
        "template_version": spec.template_version,
        "fields": dict(spec.fields) or None,
    }
    return {name: value for name, value in document.items() if value is not None}
