"""Evaluates conditional requests: If-Match, If-None-Match, If-Range and Range (RFC 9110, 13 and 14).

werkzeug deviates from the RFC in some cases. Those are decided here, or the headers are changed so that it decides them right.
"""

from __future__ import annotations

import re
from http import HTTPMethod
from typing import TYPE_CHECKING

from flask import request
from werkzeug.exceptions import PreconditionFailed
from werkzeug.http import is_resource_modified, parse_date

if TYPE_CHECKING:
    from datetime import datetime

# A single byte range. Other units and multiple ranges are answered with the whole file, as RFC 9110, 14.2 allows; so are
# numbers with more digits than int() converts.
_ONE_RANGE = re.compile(r"bytes=\s*(?:\d{1,4000}-\d{0,4000}|-(\d{1,4000}))\s*", re.IGNORECASE | re.ASCII)
_DATES = ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_IF_RANGE")


def check_if_match(tag: str) -> None:
    """Raise PreconditionFailed where If-Match names another version than this tag."""
    _drop_impossible_dates()
    if_match = request.if_match
    if if_match and not if_match.contains(tag):
        raise PreconditionFailed(
            "The resource has changed: its ETag is not among those in If-Match. Fetch it again."
        )
    request.environ.pop(
        "HTTP_IF_MATCH", None
    )  # werkzeug would not match `*` against this tag, and answer 412


def check_range_conditions(tag: str, size: int, modified: datetime | None) -> None:
    """Evaluate all conditions of a request for a file, and remove its Range where the whole file is to be sent.

    The other conditions come first: what the client already has is not sent again, not even in part.
    """
    check_if_match(tag)
    environ = request.environ
    byte_range = _ONE_RANGE.fullmatch(request.headers.get("Range", ""))
    is_unmodified = not is_resource_modified(environ, f'"{tag}"', last_modified=modified)
    if (
        byte_range is None
        or is_unmodified
        or request.method != HTTPMethod.GET
        or not _if_range_matches(tag, modified)
    ):
        environ.pop("HTTP_RANGE", None)
    elif byte_range[1] and int(byte_range[1]) > size:
        environ["HTTP_RANGE"] = "bytes=0-"  # a suffix longer than the file means the whole file
    # Decided above; werkzeug would compare weak tags and dates once more, and differently.
    environ.pop("HTTP_IF_RANGE", None)


def _drop_impossible_dates() -> None:
    """Ignore invalid dates, as RFC 9110 requires: werkzeug's parser overflows on them."""
    for name in _DATES:
        try:
            parse_date(request.environ.get(name))
        except OverflowError:
            request.environ[name] = ""


def _if_range_matches(tag: str, modified: datetime | None) -> bool:
    """Return whether If-Range is absent or names this version of the file."""
    if_range = request.headers.get("If-Range")
    if if_range is None or if_range == f'"{tag}"':
        return True
    moment = parse_date(if_range)
    return moment is not None and modified is not None and moment == modified.replace(microsecond=0)
