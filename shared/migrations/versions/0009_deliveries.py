"""An account's failed webhooks, those of a task, and those of rarer events, however many others were delivered."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLE = "webhook_deliveries"
NEWEST = [sa.text("created_at DESC"), sa.text("id DESC")]


def upgrade() -> None:
    op.create_index("ix_webhook_deliveries_subject", TABLE, ["account_id", "subject"])
    op.create_index(
        "ix_webhook_deliveries_failed",
        TABLE,
        ["account_id", *NEWEST],
        postgresql_where=sa.text("state = 'failed'"),
    )
    op.create_index(
        "ix_webhook_deliveries_rare",
        TABLE,
        ["account_id", "event", *NEWEST],
        postgresql_where=sa.text("event <> 'task.succeeded'"),
    )


def downgrade() -> None:
    for name in ("rare", "failed", "subject"):
        op.drop_index(f"ix_webhook_deliveries_{name}", table_name=TABLE)
