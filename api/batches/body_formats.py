"""Reads the three formats of a batch, JSON, NDJSON and CSV with a template, as rows."""

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
CUSTOM_ID = "custom_id"  # a column that needs no declared field of the template
BODY = {
    "required": True,
    "content": {
        JSON: {"schema": BatchSchema},
        NDJSON: {"schema": {"type": "string", "description": "One job per line, each a JSON object."}},
        CSV: {
            "schema": {
                "type": "string",
                "description": "UTF-8. The first line names the template's fields and may name custom_id.",
            }
        },
    },
}


class BatchQuery(Query):
    """Options of NDJSON and CSV bodies, which have no place for them."""

    template_id = fields.String(
        validate=validate.Regexp(rf"^(?:{TEMPLATE_ID})$", error="Must be a template's id."),
        metadata={"description": "The template that a CSV body fills."},
    )
    template_version = fields.Integer(validate=validate.Range(1, 2**31), strict=False)
    on_invalid = fields.String(
        validate=validate.OneOf(("reject", "skip")),
        metadata={"description": "As in the JSON body; for NDJSON and CSV."},
    )
    webhook = fields.String(
        metadata={"description": "Where to post the end of the batch; for NDJSON and CSV."}
    )


@dataclass(frozen=True, slots=True)
class PostedBatch:
    """A parsed batch. `fingerprint` tells it from another under the same Idempotency-Key."""

    spec: BatchSpec
    rows: Sequence[Any]
    strict: bool
    fingerprint: bytes


def receive_body(query: dict[str, Any]) -> bytes:
    """Return the request's body; raise UnsupportedMediaType, or Invalid for a query that does not fit its format."""
    media_type = request.mimetype
    if (
        media_type not in (JSON, NDJSON, CSV)
        or request.headers.get("Content-Encoding", "identity") != "identity"
    ):
        raise UnsupportedMediaType(f"The body must be {JSON}, {NDJSON} or {CSV}.")
    _check_query(media_type, query)
    body = bodies.read_all(config().max_batch_body_bytes)
    g.body_size = len(body)
    return body


def parse_body(query: dict[str, Any], body: bytes) -> PostedBatch:
    """Return the request's batch; raise BadRequest or Invalid for what is wrong with it as a whole."""
    media_type = request.mimetype
    # Hashed from bytes: parsing ten thousand jobs only to compare them would double the work.
    fingerprint = hashlib.sha256(b"\n".join((media_type.encode(), request.query_string, body))).digest()
    max_jobs = config().max_batch_jobs
    if media_type == JSON:
        split = offload.run_if_large(len(body), rows.parse_json, body, max_jobs)
        return _check_size(
            PostedBatch(load(BatchSchema(), split.head), split.jobs, split.strict, fingerprint)
        )
    spec = _spec_of_query(query)
    if media_type == NDJSON:
        lines = offload.run_if_large(len(body), rows.parse_ndjson, body, max_jobs).jobs
        return _check_size(PostedBatch(spec, lines, strict=False, fingerprint=fingerprint))
    table = offload.run_if_large(len(body), rows.parse_csv, body, max_jobs)
    template_key = query["template_id"], query.get("template_version")
    with transaction() as session:
        template = find_template(session, account_id(), *template_key)
    return _check_size(
        PostedBatch(spec, TemplateTable(table, template, template_key), strict=False, fingerprint=fingerprint)
    )


class TemplateTable(rows.Table):
    """The rows of a CSV body as jobs of a template."""

    def __init__(self, table: rows.Table, template: Template, template_key: tuple[str, int | None]) -> None:
        super().__init__(table.columns, table.lines)
        self._template, self._template_key = template, template_key

    def _row(self, cells: list[str]) -> Any:
        row = super()._row(cells)
        if isinstance(row, rows.MalformedRow):
            return row
        name, version = self._template_key
        job = {"kind": "video", "template_id": name, **({"template_version": version} if version else {})}
        if CUSTOM_ID not in self._template.fields and (custom_id := row.pop(CUSTOM_ID, "")):
            job[CUSTOM_ID] = custom_id
        return {**job, "fields": convert_cells(self._template.fields, row)}


def _check_query(media_type: str, query: dict[str, Any]) -> None:
    unsupported = query.keys() - ({"template_id", "template_version"} if media_type == CSV else set())
    unsupported -= {"on_invalid", "webhook"} if media_type != JSON else set()
    errors = [(f"#/{name}", f"Is not supported with {media_type}.") for name in sorted(unsupported)]
    if media_type == CSV and "template_id" not in query:
        errors.append(("#/template_id", "Missing."))
    if errors:
        raise Invalid.listing(errors, "query parameter is wrong", "query parameters are wrong")


def _spec_of_query(query: dict[str, Any]) -> BatchSpec:
    url = query.get("webhook")
    if url is not None:
        try:
            WebhookUrlField().check(url)
        except ValidationError as error:
            raise Invalid.at("#/webhook", error.messages[0]) from error
    return BatchSpec({}, query.get("on_invalid", "reject"), BatchWebhook(url) if url else None)


def _check_size(posted: PostedBatch) -> PostedBatch:
    max_jobs = config().max_batch_jobs
    if not 1 <= len(posted.rows) <= max_jobs:
        raise Invalid.at("#/jobs", f"Must have 1 to {max_jobs} jobs.")
    return posted
