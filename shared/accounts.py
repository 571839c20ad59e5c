"""Accounts and their API keys: creates, authenticates and revokes keys, and sets budgets.

A key reads `sm_live_<id>_<secret>_<checksum>`. The checksum lets a secret scanner tell a real key from noise offline.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import sys
import uuid
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, column, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from shared.models import Account, ApiKey
from shared.prepared_statements import PreparedStatement

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy.orm import Session

SCOPES = ("jobs:read", "jobs:write", "assets:read", "assets:write", "templates:write", "keys:write", "admin")
PREFIX = "sm_live"
# Prepared: every authenticated request runs it.
_KEY_COLUMNS = (ApiKey.account_id, ApiKey.secret_hash, ApiKey.scopes)
_KEY_QUERY = PreparedStatement(
    "recognise_key",
    select(*_KEY_COLUMNS)
    .join(Account, Account.id == ApiKey.account_id)
    .where(ApiKey.id == bindparam("key_id"), ApiKey.revoked_at.is_(None), Account.disabled_at.is_(None)),
    returns=[column(each.key, each.type) for each in _KEY_COLUMNS],
)
_DUMMY_HASH = hashlib.sha256(b"no key has this hash").hexdigest()


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller of a request: its account, the key or user it uses, and the scopes that it has."""

    account_id: uuid.UUID
    actor: str  # the key's id, or `user:` and the user's id
    scopes: frozenset[str]
    login_id: uuid.UUID | None = None  # of the access token, where one is used


def checksum(body: str) -> str:
    """Return the checksum at the end of a key, so that a malformed key is refused without a query."""
    return f"{zlib.crc32(body.encode()):08x}"


def _hash_secret(secret: str) -> str:
    # A plain hash is enough: the secret has 192 random bits, so there is nothing to guess.
    return hashlib.sha256(secret.encode()).hexdigest()


def ensure_account(session: Session, name: str) -> uuid.UUID:
    """Return the id of the account of that name; create the account if there is none."""
    session.execute(
        upsert(Account).values(id=uuid.uuid4(), name=name).on_conflict_do_nothing(index_elements=["name"])
    )
    return session.scalars(select(Account.id).where(Account.name == name)).one()


def create_key(
    session: Session, account_id: uuid.UUID, name: str, scopes: Sequence[str]
) -> tuple[ApiKey, str]:
    """Create a key; return its row and the key itself, which is not stored and cannot be shown again."""
    key_id, secret = secrets.token_hex(6), secrets.token_hex(24)
    body = f"{PREFIX}_{key_id}_{secret}"
    row = ApiKey(
        id=key_id, account_id=account_id, name=name, secret_hash=_hash_secret(secret), scopes=list(scopes)
    )
    session.add(row)
    session.flush()
    return row, f"{body}_{checksum(body)}"


def authenticate_key(session: Session, key: str) -> Identity | None:
    """Return the identity of a key, or None. It takes the same time whether or not the key's id exists."""
    body, _, stated = key.rpartition("_")
    parts = body.split("_")
    if len(parts) != 4 or not body.startswith(PREFIX) or stated != checksum(body):
        return None
    return authenticate_key_parts(session, parts[2], parts[3])


def authenticate_key_parts(session: Session, key_id: str, secret: str) -> Identity | None:
    """Return the identity of a key given as its id and secret, or None, in the same time whether or not the id exists."""
    row = session.execute(_KEY_QUERY.prepare(session), {"key_id": key_id}).first()
    # Constant time, and against a dummy hash for an unknown id: the answer's time tells neither id nor secret.
    matches = hmac.compare_digest(row.secret_hash if row else _DUMMY_HASH, _hash_secret(secret))
    if row is None or not matches:
        return None
    return Identity(row.account_id, key_id, frozenset(row.scopes))


def active_key_scopes(session: Session, key_ids: Collection[str]) -> dict[Any, frozenset[str]]:
    """Return the scopes of those keys that are neither revoked nor of a disabled account."""
    if not key_ids:
        return {}
    rows = session.execute(
        select(ApiKey.id, ApiKey.scopes)
        .join(Account, Account.id == ApiKey.account_id)
        .where(ApiKey.id.in_(key_ids), ApiKey.revoked_at.is_(None), Account.disabled_at.is_(None))
    )
    return {row.id: frozenset(row.scopes) for row in rows}


def key_owner(session: Session, key_id: str) -> uuid.UUID | None:
    """Return the account of a key, revoked or not; None where no key has this id."""
    return session.scalar(select(ApiKey.account_id).where(ApiKey.id == key_id))


def revoke_key(session: Session, account_id: uuid.UUID, key_id: str) -> bool:
    """Revoke a key; False where the account has no active key of this id."""
    done = session.scalar(
        update(ApiKey)
        .where(ApiKey.account_id == account_id, ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(ApiKey.id)
    )
    return done is not None


def set_budget(session: Session, name: str, budget: float | None) -> bool:
    """Set what an account may cost in a calendar month, None for no limit; False where there is no such account."""
    done = session.scalar(
        update(Account).where(Account.name == name).values(budget=budget).returning(Account.id)
    )
    return done is not None


USAGE = """usage: python -m shared.accounts ensure-key --file F
       python -m shared.accounts budget NAME AMOUNT|none
"""


def main(arguments: list[str]) -> int:
    """Create the first key, or set an account's monthly budget."""
    if len(arguments) == 3 and arguments[:2] == ["ensure-key", "--file"]:
        return _ensure_key(Path(arguments[2]))
    if len(arguments) == 3 and arguments[0] == "budget":
        return _set_budget(arguments[1], arguments[2])
    sys.stderr.write(USAGE)
    return 2


def _ensure_key(path: Path) -> int:
    """Print the key in the file; where the file has no valid key, create one for the default account and write it there."""
    from shared.db import transaction  # noqa: PLC0415  (importing this module must not need SQLAlchemy's engine)

    with transaction() as session:
        key = path.read_text().strip() if path.exists() else ""
        if not key or authenticate_key(session, key) is None:
            account_id = ensure_account(session, "default")
            _, key = create_key(session, account_id, "first key", SCOPES)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(key + "\n")
    sys.stdout.write(key + "\n")
    return 0


def _set_budget(name: str, amount: str) -> int:
    from shared.db import transaction  # noqa: PLC0415  (as above)

    try:
        budget = None if amount == "none" else float(amount)
    except ValueError:
        budget = math.nan
    if budget is not None and not 0 <= budget < math.inf:
        sys.stderr.write("The budget must be a number of at least 0, or none.\n")
        return 2
    with transaction() as session:
        exists = set_budget(session, name, budget)
    sys.stdout.write(f"{name}: {amount}\n" if exists else "")
    sys.stderr.write("" if exists else f"There is no account {name}.\n")
    return 0 if exists else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
