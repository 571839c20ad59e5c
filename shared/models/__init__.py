"""The tables: columns and constraints. No query and no rule lives here.

Every row belongs to an account, and every query of another module names it or reached the row by a worker's claim.
Whoever needs a table takes it from here, and so has them all: the foreign keys find each other.
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
