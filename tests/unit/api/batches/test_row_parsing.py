"""Batches are cut into jobs that nobody has read yet."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.batches.row_parsing import MalformedRow, parse_csv, parse_json, parse_ndjson
from shared.errors import BadRequest, Invalid

TEXT = st.text(alphabet='ab"\\{}[]:,\n ü', max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | st.just("jobs"), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(TEXT, VALUES, max_size=3), st.lists(VALUES, max_size=5), st.sampled_from([None, 1]))
def test_json_jobs_are_sliced_verbatim(head, jobs, indent):
    document = {**head, "jobs": jobs, "last": {"jobs": [{"a": 1}]}}

    rows = parse_json(json.dumps(document, indent=indent).encode(), 10)

    read = [json.loads(row) if isinstance(row, bytes) else row for row in rows.jobs]
    assert read == jobs
    assert {name: value for name, value in rows.head.items() if name != "jobs"} == {
        **head,
        "last": {"jobs": [{"a": 1}]},
    }
    assert all(
        isinstance(row, bytes) == isinstance(job, dict) for row, job in zip(rows.jobs, jobs, strict=True)
    )


@pytest.mark.parametrize(
    "body",
    [
        b'{"jobs": [{}',
        b'{"jobs": [{} {}]}',
        b'{"jobs": [{},]}',
        b'{"jobs": [{}]]',
        b"",
        b'{"jobs": [{}], "jobs": []}',
        b"\xff",
    ],
)
def test_malformed_json_is_refused(body):
    with pytest.raises(BadRequest):
        parse_json(body, 10)


def test_jobs_under_an_escaped_name_are_refused():
    with pytest.raises(BadRequest):
        parse_json(b'{"jo\\u0062s": [{"kind": "video"}]}', 10)


def test_too_many_jobs_are_refused_before_they_are_split():
    with pytest.raises(Invalid):
        parse_json(json.dumps({"jobs": [{}] * 11}).encode(), 10)

    assert len(parse_ndjson(b"{}\n" * 50, 10).jobs) == 11
    assert len(parse_csv(b"a\n" + b"1\n" * 50, 10)) == 11


def test_a_document_without_jobs_has_no_rows():
    assert [len(parse_json(body, 9)) for body in (b"[]", b"7", b"{}", b'{"jobs": {"a": {}}}')] == [0, 0, 0, 0]


def test_each_non_empty_line_is_a_row():
    rows = parse_ndjson(b'\n{"a": 1}\r\n  \nnonsense\n{"b": 2}', 10)

    assert [row.strip() for row in rows.jobs] == [b'{"a": 1}', b"nonsense", b'{"b": 2}']


def test_csv_cells_are_named_by_the_first_line():
    table = parse_csv('\ufeffname, price\n"Tea, green","3"\n\nx\n"a\nb",4\n'.encode(), 10)

    assert list(table[0:4]) == [
        {"name": "Tea, green", "price": "3"},
        MalformedRow("Must have as many cells as the first line."),
        {"name": "a\nb", "price": "4"},
    ]


@pytest.mark.parametrize("body", [b"", b"a,a\n1,2", b"a,\n1,2", b'a\n"open', b"\xff\n1"])
def test_malformed_csv_is_refused(body):
    with pytest.raises(BadRequest):
        parse_csv(body, 10)


def test_malformed_csv_is_reported_with_its_line():
    with pytest.raises(BadRequest, match="at line 3: ',' expected"):
        parse_csv(b'name\nTea\n"x"y\n', 10)


def test_a_cell_may_be_as_long_as_the_body():
    assert list(parse_csv(b"name\n" + b"x" * 140_000 + b"\n", 10)) == [{"name": "x" * 140_000}]
