"""The tables of the database, as SQLAlchemy models: columns, constraints and indexes, no queries and no rules.

Every row belongs to an account, and every query names that account or reached the row by a worker's claim. Import
models from here, so that all tables are loaded and foreign keys resolve.
"""

from shared.models.accounts import (
    Account,
    ApiKey,
    AuditEvent,
    Login,
    LoginThrottle,
    RefreshToken,
    Usage,
    User,
)
from shared.models.base import Base
from shared.models.jobs import Artifact, Batch, IdempotencyKey, Job
from shared.models.library import Asset, JobAsset, Template, Upload
from shared.models.segments import Segment, StoredMix, StoredSegment, StoredSpeech
from shared.models.webhooks import Delivery, DeliveryAttempt, DisabledAddress, WebhookSecret

__all__ = [
    "Account",
    "ApiKey",
    "Artifact",
    "Asset",
    "AuditEvent",
    "Base",
    "Batch",
    "Delivery",
    "DeliveryAttempt",
    "DisabledAddress",
    "IdempotencyKey",
    "Job",
    "JobAsset",
    "Login",
    "LoginThrottle",
    "RefreshToken",
    "Segment",
    "StoredMix",
    "StoredSegment",
    "StoredSpeech",
    "Template",
    "Upload",
    "Usage",
    "User",
    "WebhookSecret",
]
