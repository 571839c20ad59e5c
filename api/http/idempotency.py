"""`Idempotency-Key`: the answer to a POST is kept with the work, and given again to whoever asks again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flask import Response, jsonify, request

from api.auth import account_id
from api.http import stored_responses
from api.http.request_context import config
from api.http.stored_responses import StoredResponse
from shared.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

MAX_KEY_LENGTH = 255
JSON = "application/json"


class ReplayedResponse(StoredResponse):
    """An answer that was given before."""


def request_key() -> str | None:
    """Return the request's key without its quotes, or None."""
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    given = given.strip()
    quoted = len(given) >= 2 and given[0] == given[-1] == '"'
    bare = given[1:-1] if quoted else given
    if (
        not 1 <= len(bare) <= MAX_KEY_LENGTH
        or not bare.isprintable()
        or bare.startswith('"')
        or bare.endswith('"')
    ):
        raise BadRequest(
            f"An Idempotency-Key has 1 to {MAX_KEY_LENGTH} printable characters, in a pair of quotes or none."
        )
    return bare


def run_once(
    session: Session,
    asked: bytes,
    work: Callable[[], StoredResponse],
    *,
    kept: Callable[[StoredResponse], StoredResponse] | None = None,
) -> StoredResponse:
    """Do the work, unless this key's first request did it: then return that one's answer. `asked` is what it asks for.

    `kept` says what may be written down of an answer that holds a secret.
    """
    given = request_key()
    if given is None:
        return work()
    owner, limits = account_id(), config()
    mark = stored_responses.fingerprint(request.method.encode(), request.path.encode(), asked)
    first = stored_responses.find_and_lock(session, owner, given, mark, ttl=limits.idempotency_ttl)
    if first is not None:
        return ReplayedResponse(first.status, first.body, first.headers, first.text)
    answer = work()
    written = kept(answer) if kept else answer
    text = jsonify(written.body).get_data(as_text=True)
    stored_responses.store(session, owner, given, mark, replace(written, text=text))
    return answer


def to_response(answer: StoredResponse) -> Response:
    """Return an answer as a response."""
    response = jsonify(answer.body) if answer.text is None else Response(answer.text, mimetype=JSON)
    response.status_code = answer.status
    response.headers.update(answer.headers)
    if isinstance(answer, ReplayedResponse):
        response.headers["Idempotent-Replayed"] = "true"
    return response
