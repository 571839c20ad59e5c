"""`Idempotency-Key`: the first response to a POST is stored with its work, and returned to each retry with the same key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from flask import Response, jsonify, request
from sqlalchemy import delete, func, select

from api.http.caller import account_id
from api.http.request_context import config
from shared.advisory_locks import try_lock_until_commit
from shared.errors import BadRequest, Conflict, IdempotencyKeyReused
from shared.models import IdempotencyKey

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable
    from datetime import timedelta

    from sqlalchemy.orm import Session

MAX_KEY_LENGTH = 255
JSON = "application/json"


class RequestInProgress(Conflict):
    """The first request with the same Idempotency-Key is not answered yet."""

    headers: ClassVar[dict[str, str]] = {"Retry-After": "1"}


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """The response to a POST. `text` is the body as it was first written; None where it has not been written yet."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    text: str | None = None


class ReplayedResponse(StoredResponse):
    """The stored response of an earlier request."""


def request_key() -> str | None:
    """Return the request's Idempotency-Key without its quotes, or None."""
    header = request.headers.get("Idempotency-Key")
    if header is None:
        return None
    header = header.strip()
    quoted = len(header) >= 2 and header[0] == header[-1] == '"'
    key = header[1:-1] if quoted else header
    if (
        not 1 <= len(key) <= MAX_KEY_LENGTH
        or not key.isprintable()
        or key.startswith('"')
        or key.endswith('"')
    ):
        raise BadRequest(
            f"An Idempotency-Key has 1 to {MAX_KEY_LENGTH} printable characters, in a pair of quotes or none."
        )
    return key


def run_once(
    session: Session,
    content: bytes,
    work: Callable[[], StoredResponse],
    *,
    redact: Callable[[StoredResponse], StoredResponse] | None = None,
) -> StoredResponse:
    """Do the work, unless an earlier request with this key did it: then return its response.

    `content` is what the request asks for, to tell a retry from another use of the key. `redact` removes secrets from
    what is stored.
    """
    key = request_key()
    if key is None:
        return work()
    owner = account_id()
    mark = fingerprint(request.method.encode(), request.path.encode(), content)
    first = find_and_lock(session, owner, key, mark, ttl=config().idempotency_ttl)
    if first is not None:
        return ReplayedResponse(first.status, first.body, first.headers, first.text)
    response = work()
    # The full response goes out once; what is stored must not hold secrets.
    stored = redact(response) if redact else response
    # Stored as text, so that a replay has the same bytes even after a release changes the format.
    body = jsonify(stored.body).get_data(as_text=True)
    store(session, owner, key, mark, replace(stored, text=body))
    return response


def to_response(stored: StoredResponse) -> Response:
    """Return it as a Flask response, marked as a replay where it is one."""
    response = jsonify(stored.body) if stored.text is None else Response(stored.text, mimetype=JSON)
    response.status_code = stored.status
    response.headers.update(stored.headers)
    if isinstance(stored, ReplayedResponse):
        response.headers["Idempotent-Replayed"] = "true"
    return response


def fingerprint(*parts: bytes) -> str:
    """Return a hash that two requests share only if they ask for the same."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def find_and_lock(
    session: Session, account_id: uuid.UUID, key: str, mark: str, *, ttl: timedelta
) -> StoredResponse | None:
    """Return the stored response of this key, or None; then the key is locked until the transaction ends.

    Raise RequestInProgress while the first request runs, and IdempotencyKeyReused where it asked for something else.
    """
    # Try, do not wait: a retry that waited would hold a database connection for as long as the first request takes.
    if not try_lock_until_commit(session, f"{account_id}:{key}"):
        raise RequestInProgress("The first request with this Idempotency-Key is still under way.")
    session.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.account_id == account_id,
            IdempotencyKey.key == key,
            IdempotencyKey.created_at < func.now() - ttl,
        )
    )
    row = session.scalar(
        select(IdempotencyKey).where(IdempotencyKey.account_id == account_id, IdempotencyKey.key == key)
    )
    if row is None:
        return None
    # A client that reuses a key for another request must not receive the first one's response.
    if row.fingerprint != mark:
        raise IdempotencyKeyReused("This Idempotency-Key was used for a request with another body.")
    return StoredResponse(row.status, row.body, row.headers, row.text)


def store(session: Session, account_id: uuid.UUID, key: str, mark: str, response: StoredResponse) -> None:
    """Store the response in the transaction of the work that it reports."""
    session.add(
        IdempotencyKey(
            account_id=account_id,
            key=key,
            fingerprint=mark,
            status=response.status,
            headers=response.headers,
            body=response.body,
            text=response.text,
        )
    )
