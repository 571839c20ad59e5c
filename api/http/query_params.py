"""Schemas of query strings. All values arrive as text, so these schemas convert them, while those of JSON bodies do not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from flask import request
from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate

from api.schemas.job import KINDS
from api.schemas.template import TEMPLATE_ID
from shared.lifecycle.listing import Cursor, JobFilter
from shared.script.schema.loading import load
from shared.states import State

T = TypeVar("T")
DEFAULT_LIMIT, MAX_LIMIT = 50, 200


class Query(Schema):
    """The base of all queries. An unknown parameter is an error: a misspelt filter would otherwise return everything."""

    error_messages = {"unknown": "Unknown parameter."}  # noqa: RUF012 (marshmallow declares it so)

    class Meta(Schema.Meta):
        """Refuse undeclared parameters."""

        unknown = RAISE


class EmptyQuery(Query):
    """A query without parameters: one that was ignored might have been meant."""


def refuse_query() -> None:
    """Raise Invalid if the request has any query parameter."""
    load(EmptyQuery(), request.args.to_dict())


def declares_query(view: Any) -> bool:
    """Tell whether a view has declared parameters, and so refuses the others itself."""
    declared = getattr(view, "_apidoc", {}).get("arguments", {}).get("parameters", ())
    return any(parameter.get("in") == "query" for parameter in declared)


class VoicesQuery(Query):
    """Which voices."""

    language = fields.String(
        validate=validate.Regexp(
            r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*\Z", error="Must be a language tag such as en or pt-BR."
        ),
        metadata={"description": "Only voices that speak this language, in any region; a BCP 47 tag."},
    )


class JobQuery(Query):
    """Whether to accept a job, or only to check and estimate it."""

    dry_run = fields.Boolean(
        load_default=False,
        metadata={"description": "Accept nothing; answer 200 with the errors, the timeline and an estimate."},
    )


class CursorField(fields.Field[Cursor]):
    """A cursor: the `next_cursor` of the previous page."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Cursor:
        try:
            return Cursor.read(value)
        except ValueError as error:
            raise ValidationError("Must be the next_cursor of an earlier page of this list.") from error


class TimestampField(fields.Field[datetime]):
    """A timestamp by RFC 3339, converted to UTC; UTC is also assumed where it names no zone."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> datetime:
        try:
            # An unescaped "+" of a time zone arrives as a space.
            moment = datetime.fromisoformat(value.replace(" ", "+") if "T" in value else value)
        except ValueError as error:
            raise ValidationError("Must be a timestamp such as 2026-01-31T12:00:00Z.") from error
        try:
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except OverflowError as error:  # its offset moves it out of the calendar
            raise ValidationError("Must lie in the years 1 to 9999 in UTC.") from error


class LowerBoundField(TimestampField):
    """An exclusive lower bound. Tasks are shown with milliseconds, so that one shown with this very timestamp must not match."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> datetime:
        moment = super()._deserialize(value, *args, **kwargs)
        return moment + (timedelta(microseconds=999) if moment.microsecond % 1000 == 0 else timedelta(0))


class NamesField(fields.Field[tuple[str, ...]]):
    """One or several of these names, separated by commas."""

    def __init__(self, names: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(
            metadata={
                "type": "string",
                "description": f"One or several of {', '.join(names)}, separated by commas.",
            },
            **kwargs,
        )
        self.names = names

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[str, ...]:
        chosen = tuple(value.split(","))
        if not set(chosen) <= set(self.names):
            raise ValidationError(f"Must be one or several of: {', '.join(self.names)}.")
        return chosen


class PageQuery(Query):
    """A page of a list."""

    limit = fields.Integer(load_default=DEFAULT_LIMIT, validate=validate.Range(1, MAX_LIMIT), strict=False)
    cursor = CursorField(metadata={"type": "string"})


class TemplatesQuery(Query):
    """A page of templates, ordered by id."""

    limit = fields.Integer(load_default=DEFAULT_LIMIT, validate=validate.Range(1, MAX_LIMIT), strict=False)
    cursor = fields.String(load_default="", validate=validate.Regexp(rf"^(?:{TEMPLATE_ID})?$"))


class VersionsQuery(Query):
    """A page of a template's versions, newest first."""

    limit = fields.Integer(load_default=DEFAULT_LIMIT, validate=validate.Range(1, MAX_LIMIT), strict=False)
    cursor = fields.Integer(load_default=None, validate=validate.Range(1, 2**31), strict=False)


class TemplateQuery(Query):
    """Which version."""

    version = fields.Integer(load_default=None, validate=validate.Range(1, 2**31), strict=False)


class UsageQuery(Query):
    """How many months of usage to show."""

    months = fields.Integer(
        load_default=12, validate=validate.Range(1, 120), strict=False,
        metadata={"description": "How many months to show, including the current one."},
    )  # fmt: skip


def _links_field() -> fields.String:
    return fields.String(
        validate=validate.OneOf(("signed",)),
        metadata={
            "description": "`signed` adds to each artifact a `signed_url` that needs no key for 24 hours."
        },
    )


class TasksQuery(PageQuery):
    """A page of tasks, with filters."""

    links = _links_field()

    kind = NamesField(KINDS)
    status = NamesField(tuple(map(str, State)))
    created_after = LowerBoundField(metadata={"type": "string", "format": "date-time"})
    created_before = TimestampField(metadata={"type": "string", "format": "date-time"})
    q = fields.String(
        validate=(
            validate.Length(1, 200),
            validate.ContainsNoneOf("\0", error="Must not contain a NUL character."),
        ),
        metadata={"description": "Text to find in `custom_id`, or in the metadata as `key:value`."},
    )

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        wanted = JobFilter(
            kinds=data.get("kind", ()),
            states=tuple(State(name) for name in data.get("status", ())),
            batch_id=data.get("batch_id"),
            created_after=data.get("created_after"),
            created_before=data.get("created_before"),
            text=data.get("q"),
        )
        return {
            "limit": data["limit"],
            "after": data.get("cursor"),
            "wanted": wanted,
            "links": data.get("links"),
        }


class AllTasksQuery(TasksQuery):
    """A page of tasks of all batches, or of one."""

    batch_id = fields.UUID()


class WaitQuery(Query):
    """How long to wait for a task to change, and which links its artifacts have."""

    links = _links_field()

    wait = fields.Float(
        load_default=0.0,
        validate=validate.Range(0, 60),
        metadata={
            "description": "Seconds to wait until an unfinished task changes; the response is sent as soon as it does."
        },
    )


class DownloadQuery(Query):
    """Whether to send a file as an attachment."""

    download = fields.Boolean(load_default=False)
