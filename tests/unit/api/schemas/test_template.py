"""Templates: what they declare, how they are filled, and that whatever passes can be filled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from api.library.built_in import built_in, built_in_body
from api.schemas.job import JobSchema
from api.schemas.template import NewTemplateSchema, Template, TemplateSchema, fill_template
from api.schemas.template_directives import expand
from api.schemas.template_fields import convert_cells
from shared.errors import Invalid
from shared.script.schema.loading import load

EXAMPLES = Path(__file__).parents[4] / "examples" / "templates"
ASSET = "asset:6f1c0a52-9d0e-4b1e-8a52-1f0c2d3e4f50"
STRING = {"type": "string", "max_length": 60}
# A busy machine takes its time.
UNHURRIED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NUMBERS = {"type": "list", "items": {"type": "number", "minimum": 0, "maximum": 9}, "max_items": 3}
STRINGS = {"type": "list", "items": STRING, "max_items": 3}


def template(scenes: list[Any], fields: dict[str, Any], **script: Any) -> Template:
    return load(NewTemplateSchema(), {"fields": fields, "script": {"scenes": scenes, **script}})


def errors(scenes: list[Any], fields: dict[str, Any], **script: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as raised:
        template(scenes, fields, **script)
    return dict(raised.value.args[1])


def texts(one: Template, **values: Any) -> list[str]:
    return [scene.narration.text for scene in fill_template(one, values).script.scenes if scene.narration]


@pytest.mark.parametrize("name", built_in())
def test_a_built_in_template_has_a_description_and_is_valid(name):
    body = built_in_body(name)

    one = load(NewTemplateSchema(), body)

    assert one.title
    assert one.description
    assert all(field.get("description") for field in body["fields"].values())
    assert fill_template(one, {key: field.sample for key, field in one.fields.items()}).script.scenes


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_an_example_is_a_job_of_a_built_in_template(path):
    job = load(JobSchema(), json.loads(path.read_text()))

    one = load(TemplateSchema(), built_in_body(job.template_id))

    assert path.stem == job.template_id
    assert fill_template(one, job.fields).script.scenes


def test_every_built_in_template_has_an_example():
    assert {path.stem for path in EXAMPLES.glob("*.json")} == set(built_in())


def test_an_object_with_each_is_repeated_for_every_item():
    one = template(
        [{"each": "points", "narration": "{{number}} of {{all}}: {{points}}"}],
        {"points": STRINGS, "all": STRING},
    )

    assert texts(one, points=["a", "b"], all="two") == ["1 of two: a", "2 of two: b"]


def test_a_list_outside_of_each_is_joined_by_commas():
    one = template(
        [{"narration": "{{points}}"}], {"points": {**STRINGS, "items": {**STRING, "max_length": 9}}}
    )

    assert texts(one, points=["a", "b"]) == ["a, b"]


def test_lists_of_one_each_advance_together():
    bars = [{"each": ["names", "values"], "label": "{{names}}", "value": "{{values}}"}]
    one = template([{"visual": {"type": "chart", "bars": bars}}], {"names": STRINGS, "values": NUMBERS})

    (scene,) = fill_template(one, {"names": ["A", "B"], "values": [1, 2.5]}).script.scenes

    assert [(bar.label, bar.value) for bar in scene.visual.bars] == [("A", 1.0), ("B", 2.5)]
    with pytest.raises(ValidationError) as raised:
        fill_template(one, {"names": ["A", "B"], "values": [1]})
    assert raised.value.messages == {
        "fields": {"values": ["Must have as many items as names, since `each` goes through both."]}
    }


def test_an_items_variable_never_collides_with_a_field():
    fields = {"p": STRINGS, "p-1": STRING, "p-2": STRING, "number-1": STRING}
    one = template([{"each": "p", "narration": "{{p}} {{p-1}} {{p-2}} {{number-1}}"}], fields)

    assert texts(one, p=["x", "y"], **{"p-1": "1", "p-2": "2", "number-1": "n"}) == ["x 1 2 n", "y 1 2 n"]


def test_an_object_with_if_needs_a_value():
    visual = {
        "if": "photo",
        "type": "image",
        "src": "{{photo}}",
        "else": {"type": "color", "colors": ["#000000"]},
    }
    one = template(
        [{"duration": 1, "visual": visual}, {"if": "more", "narration": "{{more}}"}],
        {"photo": {"type": "asset", "optional": True}, "more": {**STRING, "optional": True}},
    )

    bare, full = fill_template(one, {}), fill_template(one, {"photo": ASSET, "more": "More."})

    assert [len(each.script.scenes) for each in (bare, full)] == [1, 2]
    assert [each.script.scenes[0].visual.type for each in (bare, full)] == ["color", "image"]
    assert bare.sources == ()
    assert [(field, source.src) for field, source in full.sources] == [("photo", ASSET)]


def test_a_file_named_by_the_template_belongs_to_no_field():
    one = template([{"visual": {"type": "image", "src": ASSET}}], {})

    assert [(field, source.src) for field, source in fill_template(one, {}).sources] == [(None, ASSET)]


@UNHURRIED
@given(value=st.text(min_size=1, max_size=60).filter(lambda text: text.isprintable() and text.strip()))
def test_a_value_is_never_syntax(value):
    one = template([{"narration": "Say {{x}}!", "text": [{"text": "{{x}}"}]}], {"x": STRING})

    (scene,) = fill_template(one, {"x": value}).script.scenes

    assert (scene.narration.text, scene.text[0].text) == (f"Say {value}!", value)


@pytest.mark.parametrize(
    ("scenes", "fields", "found"),
    [
        pytest.param(
            [{"narration": "{{x}}"}],
            {},
            {"#/script/scenes/0/narration": "Unknown variable: x."},
            id="unknown",
        ),
        pytest.param(
            [{"id": "{{x}}"}],
            {"x": STRING},
            {"#/script/scenes/0/id": "Must be 1 to 64 of a-z, 0-9, _ and -."},
            id="no place for it",
        ),
        pytest.param(
            [{"each": "x", "narration": "a"}],
            {"x": STRING},
            {"#/script/scenes/0/each": "Must be the name of a list field, or a list of such names."},
            id="each of no list",
        ),
        pytest.param(
            [{"if": "y", "narration": "a"}],
            {"x": STRING},
            {"#/script/scenes/0/if": "Must be the name of a declared field."},
            id="if of nothing",
        ),
        pytest.param(
            [{"narration": "{{x}}", "duration": "{{x}}"}],
            {"x": STRING},
            {"#/script/scenes/0/duration": "Must be a number from 0.2 to 600."},
            id="text for a number",
        ),
        pytest.param(
            [{"duration": "{{x}}"}],
            {"x": {"type": "number", "minimum": 0, "maximum": 9}},
            {"#/script/scenes/0/duration": "Must be a number from 0.2 to 600."},
            id="limits too wide",
        ),
        pytest.param(
            [{"visual": {"type": "color", "colors": ["{{x}}"]}}],
            {"x": {"type": "color", "optional": True}},
            {"#/script/scenes/0/visual/colors/0": "May not be empty."},
            id="optional without if",
        ),
        pytest.param(
            [{"narration": "a"}, {"each": "x", "text": [{"text": "{{x}}"}, {"oops": 1}]}],
            {"x": STRINGS},
            {"#/script/scenes/1/text/1/oops": "Unknown field.", "#/script/scenes/1/text/1/text": "Missing."},
            id="in a repeated one",
        ),
        pytest.param(
            [{"narration": "{{x}}"}],
            {"x": {"type": "choice", "choices": ["a" * 9, "b" * 9], "default": "c"}},
            {"#/fields/x/default": f"Must be one of: {'a' * 9}, {'b' * 9}."},
            id="default",
        ),
        pytest.param(
            [{"narration": "a"}],
            {"number": STRING},
            {"#/fields/number": "Is taken: by a variable of the script, or as `number`."},
            id="a name that is taken",
        ),
        pytest.param(
            [{"narration": "a"}],
            {"x": {"type": "number", "minimum": 2, "maximum": 1}},
            {"#/fields/x/minimum": "Is more than maximum."},
            id="limits crossed",
        ),
    ],
)
def test_an_invalid_template_is_refused_with_pointers(scenes, fields, found):
    assert errors(scenes, fields) == found


def test_the_root_of_a_script_cannot_have_if():
    optional = {"x": {**STRING, "optional": True}}

    assert errors([{"narration": "a"}], optional, **{"if": "x"}) == {"#/script/if": "Unknown field."}


def test_a_new_template_is_checked_with_every_choice():
    theme = {"type": "choice", "choices": ["slate", "none-such"]}

    assert list(errors([{"narration": "a"}], {"x": theme}, theme="{{x}}")) == ["#/script/theme"]


def test_nested_lists_are_limited():
    deep = {"each": "x", "text": [{"each": "x", "text": [{"each": "x", "text": "{{x}}"}]}]}

    with pytest.raises(ValidationError, match="more than 50000 values"):
        expand({"scenes": [deep]}, {"x": ("a",) * 50})


def test_cells_are_converted_to_the_fields_types():
    one = template(
        [
            {
                "narration": "{{name}} {{price}} {{points}}",
                "visual": {
                    "type": "chart",
                    "bars": [{"each": ["points", "values"], "label": "{{points}}", "value": "{{values}}"}],
                },
            }
        ],
        {"name": STRING, "price": {"type": "number"}, "points": STRINGS, "values": NUMBERS},
    )
    row = {"name": "7", "price": "9.50", "points": "a | b", "values": "1|x", "empty": ""}

    values = convert_cells(one.fields, row)

    assert values == {"name": "7", "price": 9.5, "points": ["a", "b"], "values": [1, "x"]}
    with pytest.raises(ValidationError) as raised:
        fill_template(one, values)
    assert raised.value.messages == {"fields": {"values": {1: ["Must be a number from 0 to 9."]}}}


NAMES = ("each", "if", "else", "scenes", "narration", "text", "variables", "type", "fields")


@pytest.mark.slow
@UNHURRIED
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.sampled_from(["{{x}}", "x", "each", "if", ""]),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_no_document_raises_an_unexpected_error(document):
    for body in (document, {"script": document, "fields": {"x": STRINGS}}):
        try:
            found = load(NewTemplateSchema(), body)
        except Invalid as error:
            found = error.args[1]
        assert found
