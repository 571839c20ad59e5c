"""`Idempotency-Key`: the answer to a POST is kept with the work, and given again to whoever asks again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flask import Response, jsonify, request

from api.auth import account_id
from api.http import stored_answers
from api.http.request_context import config
from api.http.stored_answers import Answer
from shared.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

LONGEST = 255
JSON = "application/json"


class Replayed(Answer):
    """An answer that was given before."""


def key() -> str | None:
    """Return the request's key without its quotes, or None."""
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    given = given.strip()
    quoted = len(given) >= 2 and given[0] == given[-1] == '"'
    bare = given[1:-1] if quoted else given
    if not 1 <= len(bare) <= LONGEST or not bare.isprintable() or bare.startswith('"') or bare.endswith('"'):
        raise BadRequest(
            f"An Idempotency-Key has 1 to {LONGEST} printable characters, in a pair of quotes or none."
        )
    return bare


def once(
    session: Session,
    asked: bytes,
    work: Callable[[], Answer],
    *,
    kept: Callable[[Answer], Answer] | None = None,
) -> Answer:
    """Do the work, unless this key's first request did it: then return that one's answer. `asked` is what it asks for.

    `kept` says what may be written down of an answer that holds a secret.
    """
    given = key()
    if given is None:
        return work()
    owner, limits = account_id(), config()
    mark = stored_answers.fingerprint(request.method.encode(), request.path.encode(), asked)
    first = stored_answers.recall(session, owner, given, mark, ttl=limits.idempotency_ttl)
    if first is not None:
        return Replayed(first.status, first.body, first.headers, first.text)
    answer = work()
    written = kept(answer) if kept else answer
    text = jsonify(written.body).get_data(as_text=True)
    stored_answers.remember(session, owner, given, mark, replace(written, text=text))
    return answer


def respond(answer: Answer) -> Response:
    """Return an answer as a response."""
    response = jsonify(answer.body) if answer.text is None else Response(answer.text, mimetype=JSON)
    response.status_code = answer.status
    response.headers.update(answer.headers)
    if isinstance(answer, Replayed):
        response.headers["Idempotent-Replayed"] = "true"
    return response
