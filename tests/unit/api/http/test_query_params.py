"""What a query string may hold."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from api.http.query_params import AllTasksQuery, EmptyQuery, PageQuery, TasksQuery, WaitQuery
from shared.lifecycle.listing import Cursor
from shared.states import State

if TYPE_CHECKING:
    import uuid


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_survives_encoding(moment: datetime, name: uuid.UUID) -> None:
    assert Cursor.read(str(Cursor(moment, name))) == Cursor(moment, name)


@given(st.text(max_size=80))
def test_no_text_is_a_cursor_by_accident(text: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        Cursor.read(text)


# RFC 3339 offsets are whole minutes; Python 3.11 reads an offset of microseconds alone as UTC.
OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timedelta(minutes=minutes))


@given(st.datetimes(), OFFSETS, st.uuids())
def test_a_timestamp_outside_of_the_calendar_is_refused(
    moment: datetime, offset: timedelta, name: uuid.UUID
) -> None:
    stated = moment.replace(tzinfo=timezone(offset)).isoformat()
    cursor = base64.urlsafe_b64encode(f"{stated}|{name}".encode()).decode()
    try:
        expected = moment.replace(tzinfo=UTC) - offset
    except OverflowError:
        with pytest.raises(ValidationError, match="years 1 to 9999"):
            TasksQuery().load({"created_before": stated})
        with pytest.raises(ValueError, match="cursor"):
            Cursor.read(cursor)
    else:
        assert TasksQuery().load({"created_before": stated})["wanted"].created_before == expected
        assert TasksQuery().load({"created_after": stated})["wanted"].created_after >= expected
        assert Cursor.read(cursor) == Cursor(expected, name)


def test_filters_are_parsed() -> None:
    query = AllTasksQuery().load(
        {
            "status": "queued,failed",
            "kind": "video",
            "created_after": "2026-01-31T12:00:00 02:00",
            "limit": "7",
        }
    )

    wanted = query["wanted"]
    assert query["limit"] == 7
    assert wanted.states == (State.QUEUED, State.FAILED)
    assert wanted.kinds == ("video",)
    # What was made within that millisecond is shown with the very moment, and so is not after it.
    assert wanted.created_after.astimezone(UTC) == datetime(2026, 1, 31, 10, 0, 0, 999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schema", "query"),
    [
        (PageQuery, {"limit": "0"}), (PageQuery, {"limit": "201"}), (PageQuery, {"limit": "ten"}), (PageQuery, {"page": "2"}),
        (WaitQuery, {"wait": "nan"}), (WaitQuery, {"wait": "61"}), (EmptyQuery, {"dry": "1"}),
        (AllTasksQuery, {"status": "queued,"}), (AllTasksQuery, {"q": "a\0b"}), (AllTasksQuery, {"batch_id": "x"}),
    ],
)  # fmt: skip
def test_invalid_parameters_are_refused(schema: type[PageQuery], query: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as raised:
        schema().load(query)

    assert set(raised.value.normalized_messages()) == set(query)
