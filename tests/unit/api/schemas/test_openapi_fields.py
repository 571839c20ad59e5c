"""The OpenAPI document says what the schemas take."""

from __future__ import annotations

import pytest
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask
from flask_smorest import Api
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from api.schemas.batch import BatchSchema
from api.schemas.job import JobSchema
from api.schemas.openapi_fields import register
from api.schemas.responses import NewApiKeySchema, ProblemSchema
from api.schemas.task import BatchStatusSchema, TaskPageSchema
from tasks.script.draft_schema import draft_schema, strict_json_schema

ASSET = "asset:6f1c0a52-9d0e-4b1e-8a52-1f0c2d3e4f50"
SCENE = {
    "narration": {"text": "Hello.", "src": ASSET},
    "visual": {
        "type": "stock",
        "query": "reef",
        "fallback": {"type": "gradient", "colors": ["#000000", "#ffffff"]},
    },
    "text": [{"text": "a"}],
}


@pytest.fixture(scope="module")
def document():
    plugin = MarshmallowPlugin()
    spec = APISpec("Scenemill", "1", "3.1.0", plugins=[plugin])
    register(plugin.converter)
    for schema in (JobSchema, BatchSchema, TaskPageSchema, BatchStatusSchema, ProblemSchema, NewApiKeySchema):
        name = schema.__name__.removesuffix("Schema")
        if name not in spec.components.schemas:
            spec.components.schema(name, schema=schema)
    return spec.to_dict()


def valid(document, name: str, value) -> bool:
    schema = {**document, "$ref": f"#/components/schemas/{name}"}
    return Draft202012Validator(schema).is_valid(value)


def test_the_document_is_valid_openapi_3_1(document):
    validate(document)


def test_a_visual_is_one_of_its_types(document):
    visual = document["components"]["schemas"]["Scene"]["properties"]["visual"]

    assert len(visual["oneOf"]) == 7
    assert visual["discriminator"]["mapping"]["stock"] == "#/components/schemas/StockVisual"


def test_narration_is_a_string_or_an_object(document):
    string, narration = document["components"]["schemas"]["Scene"]["properties"]["narration"]["oneOf"]

    assert (string["type"], string["maxLength"]) == ("string", 5000)
    assert narration == {"$ref": "#/components/schemas/Narration"}


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        ({"kind": "video", "script": {"scenes": [SCENE]}}, True),
        ({"kind": "video", "script": {"scenes": [{"narration": "Hello."}]}, "metadata": {"a": "b"}}, True),
        ({"kind": "video", "script": {"scenes": [SCENE], "overlays": [{"text": "a"}]}}, True),
        ({"kind": "video", "script": {"scenes": [{**SCENE, "visual": {"type": "image"}}]}}, False),
        ({"kind": "video", "script": {"scenes": [{**SCENE, "colour": 1}]}}, False),
        ({"kind": "video", "script": {"scenes": [{"narration": None}]}}, False),
        ({"kind": "video", "output": {"fps": 31}}, False),
        ({"kind": "video", "metadata": {"a": 1}}, False),
        ({}, False),
    ],
)
def test_the_document_and_the_schemas_agree(document, job, expected):
    assert valid(document, "Job", job) is expected


def test_unset_defaults_are_not_documented(document):
    schemas = document["components"]["schemas"]

    assert "default" not in schemas["Scene"]["properties"]["narration"]
    assert schemas["Output"]["properties"]["formats"]["default"] == ["mp4"]


def test_a_task_refers_to_its_result_and_its_problem(document):
    task = document["components"]["schemas"]["Task"]["properties"]

    assert task["result"] == {"anyOf": [{"$ref": "#/components/schemas/Result"}, {"type": "null"}]}
    assert task["finished_at"] == {"type": ["string", "null"], "format": "date-time"}


def test_flask_smorest_takes_the_fields():
    app = Flask(__name__)
    app.config.update(API_TITLE="Scenemill", API_VERSION="1", OPENAPI_VERSION="3.1.0")
    api = Api(app)

    register(api.ma_plugin.converter)
    api.spec.components.schema("Job", schema=JobSchema)

    assert "Scene" in api.spec.to_dict()["components"]["schemas"]


@pytest.mark.parametrize("pictures", [True, False])
def test_a_models_form_is_strict(pictures):
    form = strict_json_schema(draft_schema(pictures=pictures))

    Draft202012Validator.check_schema(form)
    for each in objects(form):
        assert each["additionalProperties"] is False
        assert each["required"] == list(each["properties"])
    words = names(form)
    assert not words & {"src", "oneOf", "minLength", "maxLength", "pattern", "default", "$ref", "minItems"}
    assert ("query" in words) is pictures


def objects(form):
    if isinstance(form, dict):
        if form.get("type") == "object":
            yield form
        for each in form.values():
            yield from objects(each)
    elif isinstance(form, list):
        for each in form:
            yield from objects(each)


def names(form) -> set[str]:
    if isinstance(form, dict):
        return set(form).union(*map(names, form.values()))
    return set().union(*map(names, form)) if isinstance(form, list) else set()
