"""The three forms of a batch: JSON, a job a line, and a table with a template. All of them become rows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import g, request
from marshmallow import ValidationError, fields, validate
from werkzeug.exceptions import UnsupportedMediaType

from api.batches import row_parsing as rows
from api.http import bodies
from api.http.caller import account_id
from api.http.query_params import Query
from api.http.request_context import config
from api.jobs.template_filling import find_template
from api.schemas.batch import BatchSchema, BatchSpec, BatchWebhook
from api.schemas.template import TEMPLATE_ID
from api.schemas.template_fields import convert_cells
from api.server import offload
from shared.db import transaction
from shared.errors import Invalid
from shared.script.schema.loading import load
from shared.script.schema.sources import WebhookUrlField

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.schemas.template import Template

JSON, NDJSON, CSV = "application/json", "application/x-ndjson", "text/csv"
CUSTOM_ID = "custom_id"  # a column that a template need not declare
BODY = {
    "required": True,
    "content": {
        JSON: {"schema": BatchSchema},
        NDJSON: {"schema": {"type": "string", "description": "A job a line, each a JSON object."}},
        CSV: {"schema": {"type": "string", "description": "A template's fields, a column each; UTF-8."}},
    },
}


class BatchQuery(Query):
    """What a body without a head cannot say."""

    template_id = fields.String(
        validate=validate.Regexp(rf"^(?:{TEMPLATE_ID})$", error="Must be a template's id."),
        metadata={"description": "Which template a table fills."},
    )
    template_version = fields.Integer(validate=validate.Range(1, 2**31), strict=False)
    on_invalid = fields.String(
        validate=validate.OneOf(("reject", "skip")), metadata={"description": "Of lines and tables."}
    )
    webhook = fields.String(
        metadata={"description": "Where to tell of the batch's end; of lines and tables."}
    )


@dataclass(frozen=True, slots=True)
class PostedBatch:
    """A batch as it came. `mark` is what tells it from another."""

    spec: BatchSpec
    rows: Sequence[Any]
    strict: bool
    fingerprint: bytes


def receive_body(query: dict[str, Any]) -> bytes:
    """Return the request's body, or raise what can be said without looking into it."""
    form = request.mimetype
    if form not in (JSON, NDJSON, CSV) or request.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedMediaType(f"The body must be {JSON}, {NDJSON} or {CSV}.")
    _check_query(form, query)
    body = bodies.read_all(config().max_batch_body_bytes)
    g.body_size = len(body)
    return body


def parse_body(query: dict[str, Any], body: bytes) -> PostedBatch:
    """Return the request's batch, or raise what is wrong with it as a whole."""
    form = request.mimetype
    mark = hashlib.sha256(b"\n".join((form.encode(), request.query_string, body))).digest()
    most = config().max_batch_jobs
    if form == JSON:
        found = offload.run_if_large(len(body), rows.parse_json, body, most)
        return _check_size(PostedBatch(load(BatchSchema(), found.head), found.jobs, found.strict, mark))
    spec = _spec_of_query(query)
    if form == NDJSON:
        lines = offload.run_if_large(len(body), rows.parse_ndjson, body, most).jobs
        return _check_size(PostedBatch(spec, lines, strict=False, fingerprint=mark))
    table = offload.run_if_large(len(body), rows.parse_csv, body, most)
    asked = query["template_id"], query.get("template_version")
    with transaction() as session:
        template = find_template(session, account_id(), *asked)
    return _check_size(
        PostedBatch(spec, TemplateTable(table, template, asked), strict=False, fingerprint=mark)
    )


class TemplateTable(rows.Table):
    """The jobs that a table's lines make of a template."""

    def __init__(self, table: rows.Table, template: Template, asked: tuple[str, int | None]) -> None:
        super().__init__(table.columns, table.lines)
        self._template, self._asked = template, asked

    def _row(self, cells: list[str]) -> Any:
        row = super()._row(cells)
        if isinstance(row, rows.MalformedRow):
            return row
        name, version = self._asked
        job = {"kind": "video", "template_id": name, **({"template_version": version} if version else {})}
        if CUSTOM_ID not in self._template.fields and (own := row.pop(CUSTOM_ID, "")):
            job[CUSTOM_ID] = own
        return {**job, "fields": convert_cells(self._template.fields, row)}


def _check_query(form: str, query: dict[str, Any]) -> None:
    strange = query.keys() - ({"template_id", "template_version"} if form == CSV else set())
    strange -= {"on_invalid", "webhook"} if form != JSON else set()
    wrong = [(f"#/{name}", f"Is not for {form}.") for name in sorted(strange)]
    if form == CSV and "template_id" not in query:
        wrong.append(("#/template_id", "Missing."))
    if wrong:
        raise Invalid.listing(wrong, "query parameter is wrong", "query parameters are wrong")


def _spec_of_query(query: dict[str, Any]) -> BatchSpec:
    url = query.get("webhook")
    if url is not None:
        try:
            WebhookUrlField().check(url)
        except ValidationError as error:
            raise Invalid.at("#/webhook", error.messages[0]) from error
    return BatchSpec({}, query.get("on_invalid", "reject"), BatchWebhook(url) if url else None)


def _check_size(posted: PostedBatch) -> PostedBatch:
    most = config().max_batch_jobs
    if not 1 <= len(posted.rows) <= most:
        raise Invalid.at("#/jobs", f"Must have 1 to {most} items.")
    return posted
