"""What operators do: accounts, users, queues and the audit log. The scope `admin` is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenemill.calls.reading import identity, nothing, one, pages, whole
from scenemill.core import requests
from scenemill.types.accounts import Account, AuditEvent, NewApiKey, QueueReport, User, UserWithPassword

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenemill.calls.reading import Reference
    from scenemill.core.steps import Flow, Items
    from scenemill.types.accounts import AccountChange, NewAccount, NewUser, Scope, UserChange

ACCOUNTS = "/v1/admin/accounts"


def accounts(*, limit: int | None = None) -> Items[Account]:
    """Give all accounts."""
    yield from pages(Account, ACCOUNTS, limit)


def create_account(account: NewAccount, *, idempotency_key: str | None = None) -> Flow[Account]:
    """Make an account and return it."""
    request = requests.create(ACCOUNTS, requests.encoded(account), idempotency_key)
    return (yield from one(Account, request))


def change_account(account_id: str, change: AccountChange) -> Flow[Account]:
    """Change an account's weight, budget, or whether it is disabled, and return it."""
    return (
        yield from one(Account, requests.put(f"{ACCOUNTS}/{requests.path('{}', account_id)}", {**change}))
    )


def create_account_key(
    account_id: str, name: str, scopes: Sequence[Scope], *, idempotency_key: str | None = None
) -> Flow[NewApiKey]:
    """Make an API key for an account, and return it with its secret, which is shown this once."""
    where = requests.path(ACCOUNTS + "/{}/keys", account_id)
    body = requests.encoded({"name": name, "scopes": list(scopes)})
    return (yield from one(NewApiKey, requests.create(where, body, idempotency_key)))


def users(account_id: str) -> Flow[tuple[User, ...]]:
    """Return the users of an account."""
    return (yield from whole(User, requests.path(ACCOUNTS + "/{}/users", account_id)))


def create_user(
    account_id: str, user: NewUser, *, idempotency_key: str | None = None
) -> Flow[UserWithPassword]:
    """Make a user of an account. Without a password in `user`, a one-time password is shown this once."""
    where = requests.path(ACCOUNTS + "/{}/users", account_id)
    return (yield from one(UserWithPassword, requests.create(where, requests.encoded(user), idempotency_key)))


def change_user(user_id: str, change: UserChange) -> Flow[User]:
    """Change a user's scopes, password, or whether they are disabled, and return them."""
    return (yield from one(User, requests.put(requests.path("/v1/admin/users/{}", user_id), {**change})))


def delete_user(user_id: str) -> Flow[None]:
    """Delete a user and end their log-ins."""
    yield from nothing(requests.delete(requests.path("/v1/admin/users/{}", user_id)))


def one_time_password(user_id: str) -> Flow[UserWithPassword]:
    """Give a user a one-time password, which is shown this once and good for setting another."""
    where = requests.path("/v1/admin/users/{}/one-time-password", user_id)
    return (yield from one(UserWithPassword, requests.post(where)))


def audit_events(
    *, account_id: str | None = None, action: str | None = None, limit: int | None = None
) -> Items[AuditEvent]:
    """Give who did what, newest first."""
    yield from pages(AuditEvent, "/v1/admin/audit-events", limit, account_id=account_id, action=action)


def queues() -> Flow[QueueReport]:
    """Return what waits and runs on the whole installation."""
    return (yield from one(QueueReport, requests.get("/v1/admin/queues")))


def requeue(task: Reference) -> Flow[None]:
    """Run a job again that was given up because it killed its workers."""
    yield from nothing(requests.post(requests.path("/v1/admin/jobs/{}/requeue", identity(task))))
