"""The conditions of a request: what is asked for only if a thing is as it was, or is another by now (RFC 9110, 13 and 14).

werkzeug answers them, but some not by the letter. They are decided here, or put so that it decides them rightly.
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

# Of ranges we serve one. Other units and several ranges may be answered with the whole file (RFC 9110, 14.2). So may what
# has more digits than Python reads.
_ONE_RANGE = re.compile(r"bytes=\s*(?:\d{1,4000}-\d{0,4000}|-(\d{1,4000}))\s*", re.IGNORECASE | re.ASCII)
_DATES = ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_IF_RANGE")


def check_if_match(tag: str) -> None:
    """Raise PreconditionFailed where the client wants a thing as it knows it, and it is another."""
    _drop_impossible_dates()
    wanted = request.if_match
    if wanted and not wanted.contains(tag):
        raise PreconditionFailed("It has changed: it is not what If-Match names.")
    request.environ.pop("HTTP_IF_MATCH", None)  # werkzeug takes `*` for the tag of something else


def check_range_conditions(tag: str, size: int, modified: datetime | None) -> None:
    """Heed the conditions of a request for a file, and leave its range only where it is to be answered with one.

    All other conditions come before the range: what the client has already is not sent again, not even in part.
    """
    check_if_match(tag)
    environ = request.environ
    asked = _ONE_RANGE.fullmatch(request.headers.get("Range", ""))
    known = not is_resource_modified(environ, f'"{tag}"', last_modified=modified)
    if asked is None or known or request.method != HTTPMethod.GET or not _if_range_matches(tag, modified):
        environ.pop("HTTP_RANGE", None)
    elif asked[1] and int(asked[1]) > size:
        environ["HTTP_RANGE"] = "bytes=0-"  # more of its end than there is
    environ.pop("HTTP_IF_RANGE", None)


def _drop_impossible_dates() -> None:
    """Pass over dates whose numbers no calendar has, as RFC 9110 asks for: werkzeug's reading of them overflows."""
    for name in _DATES:
        try:
            parse_date(request.environ.get(name))
        except OverflowError:
            request.environ[name] = ""


def _if_range_matches(tag: str, modified: datetime | None) -> bool:
    """Tell whether the client has other parts of the very same file, or has not asked that it be so."""
    had = request.headers.get("If-Range")
    if had is None or had == f'"{tag}"':
        return True
    moment = parse_date(had)
    return moment is not None and modified is not None and moment == modified.replace(microsecond=0)
