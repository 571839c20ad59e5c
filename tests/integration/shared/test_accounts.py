"""API keys are created, authenticated and revoked; stored responses are replayed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.orm import Session

from api.http import idempotency
from api.http.idempotency import StoredResponse
from shared import accounts
from shared.errors import Conflict, IdempotencyKeyReused
from tests import factories

if TYPE_CHECKING:
    from sqlalchemy import Engine

pytestmark = pytest.mark.services

DAY = timedelta(days=1)


def test_a_key_authenticates_and_its_secret_is_not_stored(session: Session) -> None:
    account_id = factories.account(session)
    row, key = accounts.create_key(session, account_id, "ci", ["jobs:read"])

    identity = accounts.authenticate_key(session, key)

    assert identity == accounts.Identity(account_id, row.id, frozenset({"jobs:read"}))
    assert key.split("_")[3] not in repr({c.name: getattr(row, c.name) for c in row.__table__.columns})


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda key: key[:-1] + ("0" if key[-1] != "0" else "1"), id="checksum"),
        pytest.param(lambda key: key.replace("sm_live_", "sm_test_"), id="prefix"),
        pytest.param(lambda _: "", id="empty"),
        pytest.param(lambda _: "sm_live_a_b_c", id="nonsense"),
        pytest.param(lambda key: key + "é", id="not ascii"),
    ],
)
def test_a_malformed_key_does_not_authenticate(session: Session, spoil: object) -> None:
    _, key = accounts.create_key(session, factories.account(session), "ci", [])

    assert callable(spoil)
    assert accounts.authenticate_key(session, spoil(key)) is None


def test_a_revoked_key_does_not_authenticate_and_only_its_account_revokes_it(session: Session) -> None:
    account_id = factories.account(session)
    row, key = accounts.create_key(session, account_id, "ci", [])

    assert not accounts.revoke_key(session, factories.account(session), row.id)
    assert accounts.revoke_key(session, account_id, row.id)
    assert accounts.authenticate_key(session, key) is None


def test_an_account_is_created_once(session: Session) -> None:
    assert accounts.ensure_account(session, "acme") == accounts.ensure_account(session, "acme")


def test_the_same_key_and_request_get_the_first_answer(session: Session) -> None:
    account_id = factories.account(session)
    mark = idempotency.fingerprint(b"POST", b"{}")
    assert idempotency.find_and_lock(session, account_id, "k", mark, ttl=DAY) is None

    idempotency.store(
        session, account_id, "k", mark, StoredResponse(202, {"task_id": "1"}, {"Location": "/x"})
    )

    again = idempotency.find_and_lock(session, account_id, "k", mark, ttl=DAY)
    assert again == StoredResponse(202, {"task_id": "1"}, {"Location": "/x"})
    assert idempotency.find_and_lock(session, factories.account(session), "k", mark, ttl=DAY) is None
    with pytest.raises(IdempotencyKeyReused):
        idempotency.find_and_lock(session, account_id, "k", idempotency.fingerprint(b"POST", b"[]"), ttl=DAY)


def test_an_expired_idempotency_key_can_be_used_again(session: Session) -> None:
    account_id = factories.account(session)
    idempotency.store(session, account_id, "k", "f" * 64, StoredResponse(202, {}))
    session.flush()

    assert idempotency.find_and_lock(session, account_id, "k", "e" * 64, ttl=-DAY) is None


def test_a_key_whose_first_request_is_under_way_is_a_conflict(database: Engine) -> None:
    with Session(database) as one, Session(database) as other:
        account_id = factories.account(one)
        one.commit()
        assert idempotency.find_and_lock(one, account_id, "k", "f" * 64, ttl=DAY) is None

        with pytest.raises(Conflict):
            idempotency.find_and_lock(other, account_id, "k", "f" * 64, ttl=DAY)


def test_fingerprints_keep_their_parts_apart() -> None:
    assert idempotency.fingerprint(b"ab", b"c") != idempotency.fingerprint(b"a", b"bc")
