"""Routes of /v1/templates: list, show, put and delete scripts with fields, by version."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields

from api import audit
from api.http import idempotency
from api.http.caller import account_id
from api.http.idempotency import StoredResponse
from api.http.query_params import TemplateQuery, TemplatesQuery, VersionsQuery
from api.http.request_context import json_body
from api.library import template_versions
from api.openapi.resource import Reply, Resource
from api.schemas.response_fields import Timestamp
from api.schemas.template import TEMPLATE_ID, NewTemplateSchema, TemplateSchema
from api.server import offload
from shared.db import transaction
from shared.errors import Invalid, NotFound
from shared.script.schema.loading import load

if TYPE_CHECKING:
    from flask import Response

    from api.library.template_versions import TemplateVersion
    from api.schemas.template import Template

blueprint = Resource("templates", "Scripts with fields to fill in, by version.")


class TemplateSummarySchema(Schema):
    """A version of a template, without its script."""

    template_id = fields.String()
    version = fields.Integer()
    built_in = fields.Boolean(metadata={"description": "Whether it comes with Scenemill."})
    title = fields.String()
    description = fields.String()
    fields_ = fields.Dict(
        keys=fields.String(),
        data_key="fields",
        metadata={"description": "The declarations of its fields."},
    )
    created_at = Timestamp(allow_none=True)
    links = fields.Dict(keys=fields.String(), values=fields.String())


class WholeTemplateSchema(TemplateSummarySchema):
    """A version of a template."""

    script = fields.Dict(keys=fields.String())


class TemplatePageSchema(Schema):
    """A page of templates."""

    data = fields.List(fields.Nested(TemplateSummarySchema))
    next_cursor = fields.String(allow_none=True)


class VersionPageSchema(Schema):
    """A page of a template's versions."""

    data = fields.List(fields.Nested(TemplateSummarySchema))
    next_cursor = fields.Integer(allow_none=True)


@blueprint.get("/templates")
@blueprint.documented(scope=None, query=TemplatesQuery, replies={200: TemplatePageSchema})
def list_templates(query: dict[str, Any]) -> dict[str, Any]:
    """List the templates, each at its newest version."""
    with transaction() as session:
        versions, after = template_versions.page(
            session, account_id(), limit=query["limit"], after=query["cursor"]
        )
        return {"data": [_template_view(version) for version in versions], "next_cursor": after}


@blueprint.get("/templates/<template_id>")
@blueprint.documented(scope=None, query=TemplateQuery, replies={200: WholeTemplateSchema}, errors=(404,))
def get_template(query: dict[str, Any], template_id: str) -> dict[str, Any]:
    """Show a template: its newest version, or the one given."""
    with transaction() as session:
        version = template_versions.find(session, account_id(), template_id, query["version"])
        if version is None:
            raise NotFound("There is no such template or version. GET /v1/templates lists the templates.")
        return _template_view(version)


@blueprint.get("/templates/<template_id>/versions")
@blueprint.documented(scope=None, query=VersionsQuery, replies={200: VersionPageSchema}, errors=(404,))
def list_versions(query: dict[str, Any], template_id: str) -> dict[str, Any]:
    """List a template's versions, newest first."""
    with transaction() as session:
        versions, before = template_versions.history(
            session, account_id(), template_id, limit=query["limit"], before=query["cursor"]
        )
        if not versions:
            raise NotFound("There is no such template or version. GET /v1/templates lists the templates.")
        return {"data": [_template_view(version) for version in versions], "next_cursor": before}


@blueprint.put("/templates/<template_id>")
@blueprint.documented(
    scope="templates:write",
    json=TemplateSchema,
    replies={
        201: Reply(WholeTemplateSchema, about="A new version.", headers=("Location",)),
        200: Reply(WholeTemplateSchema, about="Unchanged: the newest version has this body already."),
    },
)
def put_template(_: Template, template_id: str) -> Response:
    """Store a template as its next version.

    It is filled with its examples and with the shortest and longest values that its fields allow, and must give valid scripts.
    """
    if not re.fullmatch(TEMPLATE_ID, template_id):
        raise Invalid.at("#/template_id", "Must have 1 to 64 of a-z, A-Z, 0-9, _ and -.")
    # In a thread: checking a template at its limits takes up to seconds of CPU.
    offload.run(load, NewTemplateSchema(), json_body())
    with transaction() as session:
        version, is_new = template_versions.put(session, account_id(), template_id, json_body())
        if is_new:
            audit.record(session, "templates.put", f"{template_id} {version.version}")
    location = {"Location": f"/v1/templates/{template_id}"} if is_new else {}
    return idempotency.to_response(
        StoredResponse(201 if is_new else 200, WholeTemplateSchema().dump(_template_view(version)), location)
    )


@blueprint.delete("/templates/<template_id>")
@blueprint.documented(scope="templates:write", replies={204: Reply(about="Done.")}, errors=(404,))
def delete_template(template_id: str) -> None:
    """Delete a template of the account. Jobs that used it keep their scripts."""
    with transaction() as session:
        if not template_versions.remove(session, account_id(), template_id):
            raise NotFound(
                "This account has no template of its own with this id; built-in ones cannot be deleted."
            )
        audit.record(session, "templates.deleted", template_id)


def _template_view(version: TemplateVersion) -> dict[str, Any]:
    path = f"/v1/templates/{version.template_id}"
    return {
        "template_id": version.template_id,
        "version": version.version,
        "built_in": version.built_in,
        "title": version.body.get("title", ""),
        "description": version.body.get("description", ""),
        "fields_": version.body.get("fields", {}),
        "script": version.body["script"],
        "created_at": version.created_at,
        "links": {"self": path, "versions": f"{path}/versions"},
    }
