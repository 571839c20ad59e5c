"""The reference's words for schemas."""

from __future__ import annotations

from typing import Any

import pytest

from api.http import problem_documents
from api.reference import content
from shared.errors import ServiceError


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string", "minLength": 1, "maxLength": 64}, "string, 1 to 64"),
        ({"type": "integer", "enum": [24, 25]}, "24 | 25"),
        (
            {"type": "array", "items": {"$ref": "#/components/schemas/Scene"}, "maxItems": 500},
            "list of Scene, at most 500",
        ),
        ({"anyOf": [{"$ref": "#/x/Script"}, {"type": "null"}]}, "Script or null"),
        ({"type": ["string", "null"], "format": "date-time"}, "string or null (date-time)"),
        ({"type": "number", "minimum": 0, "maximum": 1, "default": 0.4}, "number, 0 to 1, default 0.4"),
    ],
)
def test_a_schemas_type_is_described_in_a_few_words(schema: dict[str, Any], words: str) -> None:
    document = {
        "info": {"title": "T", "version": "1"}, "tags": [], "paths": {},
        "components": {"schemas": {"One": {"properties": {"field": schema}, "required": ["field"]}}},
    }  # fmt: skip

    ((field,),) = (shape.fields for shape in content.build_reference(document).shapes)

    assert (field.name, field.type, field.required) == ("field", words, True)


def test_every_status_has_a_problem_type_with_an_explanation() -> None:
    known = content.problem_types()

    for status in (400, 401, 403, 404, 405, 406, 408, 409, 411, 413, 415, 416, 422, 429, 500, 501, 503):
        assert problem_documents.problem_for_status(status)["type"].startswith("/problems/")
    for status in problem_documents.STATUS_DETAILS:
        assert problem_documents.problem_for_status(status)["code"] in known
    assert known["idempotency-key-reused"].status == 422
    assert all(meaning.about for meaning in known.values())
    assert ServiceError.code in known
