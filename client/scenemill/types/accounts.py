"""Accounts: keys, tokens, users, usage, and what operators see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Required, TypeAlias, TypedDict

from scenemill.types.problems import Problem
from scenemill.types.value import Value

Scope: TypeAlias = Literal[
    "jobs:read", "jobs:write", "assets:read", "assets:write", "templates:write", "keys:write", "admin"
]


class KeyRequest(TypedDict):
    """A new API key."""

    name: str
    scopes: list[Scope]


class NewAccount(TypedDict, total=False):
    """A new account. `budget` is what a month may cost; None lets it cost anything."""

    name: Required[str]
    weight: int
    budget: float | None


class AccountChange(TypedDict, total=False):
    """What changes of an account."""

    weight: int
    budget: float | None
    disabled: bool


class NewUser(TypedDict, total=False):
    """A new user. Without a password, a one-time password is made."""

    username: Required[str]
    scopes: Required[list[Scope]]
    password: str


class UserChange(TypedDict, total=False):
    """What changes of a user."""

    scopes: list[Scope]
    password: str
    disabled: bool


class TokenRequest(TypedDict, total=False):
    """A log-in by OAuth 2.0: by password, by an API key (`client_credentials`), or by a refresh token."""

    grant_type: Required[str]
    username: str
    password: str
    new_password: str
    client_id: str
    client_secret: str
    refresh_token: str
    scope: str


@dataclass(frozen=True)
class TokenResponse(Value):
    """What a log-in gives. Each refresh token is good for one use."""

    access_token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 (the name of a scheme)
    expires_in: int = 0
    refresh_expires_in: int = 0
    scope: str = ""


@dataclass(frozen=True)
class ApiKey(Value):
    """An API key, without its secret."""

    id: str
    name: str = ""
    scopes: tuple[str, ...] = ()
    created_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True)
class NewApiKey(ApiKey):
    """A new API key. `key` is shown this once."""

    key: str = field(default="", repr=False)


@dataclass(frozen=True)
class Spending(Value):
    """How much of something was used, and what it cost."""

    amount: float = 0.0
    cost: float = 0.0


@dataclass(frozen=True)
class MonthlyUsage(Value):
    """A calendar month in UTC, such as `2026-01`."""

    month: str
    cost: float = 0.0
    used: Mapping[str, Spending] = field(default_factory=dict)


@dataclass(frozen=True)
class StorageUsage(Value):
    """The bytes that the account's files take."""

    bytes: int = 0
    assets: int = 0
    artifacts: int = 0
    cache: int = 0


@dataclass(frozen=True)
class Quotas(Value):
    """What the account may use."""

    budget: float | None = None
    budget_left: float | None = None
    asset_bytes: int = 0
    unfinished_uploads: int = 0
    body_bytes: int = 0
    batch_jobs: int = 0
    running_jobs: int = 0


@dataclass(frozen=True)
class UsageReport(Value):
    """What the account has used by month, what it stores, and what it may."""

    months: tuple[MonthlyUsage, ...] = ()
    storage: StorageUsage = StorageUsage()
    quotas: Quotas = Quotas()


@dataclass(frozen=True)
class Account(Value):
    """An account. `weight` is for how many it counts when work is handed out."""

    account_id: str
    name: str = ""
    weight: int = 1
    budget: float | None = None
    created_at: datetime | None = None
    disabled_at: datetime | None = None


@dataclass(frozen=True)
class User(Value):
    """A user of an account. `one_time_until` is how long a one-time password is good."""

    user_id: str
    account_id: str = ""
    username: str = ""
    scopes: tuple[str, ...] = ()
    created_at: datetime | None = None
    disabled_at: datetime | None = None
    one_time_until: datetime | None = None


@dataclass(frozen=True)
class UserWithPassword(User):
    """A user with the one-time password that is shown this once, where one was made."""

    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class AuditEvent(Value):
    """Who did what, and when."""

    id: int
    at: datetime | None = None
    account_id: str = ""
    action: str = ""
    subject: str = ""
    actor: str | None = None
    request_id: str | None = None


@dataclass(frozen=True)
class Depth(Value):
    """How much waits, was handed to the broker, and runs."""

    waiting: int = 0
    published: int = 0
    running: int = 0


@dataclass(frozen=True)
class Queue(Depth):
    """A queue of jobs. `oldest_wait` is in seconds."""

    queue: str = ""
    oldest_wait: float = 0.0


@dataclass(frozen=True)
class Window(Value):
    """How many jobs an account may have at the workers."""

    unclaimed: int = 0
    running: int = 0


@dataclass(frozen=True)
class QuarantinedJob(Value):
    """A job that killed its workers."""

    task_id: str
    account_id: str = ""
    kind: str = ""
    attempt: int = 0
    finished_at: datetime | None = None
    error: Problem | None = None


@dataclass(frozen=True)
class QueueReport(Value):
    """What waits and runs on the whole installation. `most` is how many unfinished jobs it accepts."""

    queues: tuple[Queue, ...] = ()
    segments: Depth = Depth()
    unfinished: int = 0
    most: int = 0
    finished_last_minute: int = 0
    window: Window = Window()
    quarantined: tuple[QuarantinedJob, ...] = ()
