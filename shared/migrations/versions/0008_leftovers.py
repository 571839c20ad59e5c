"""What is past its time, and which row names a file, by an index. Batches that lost their last job go as they do now."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

PAST = {
    "webhook_secrets": ("ix_webhook_secrets_retiring", "retires_at"),
    "api_keys": ("ix_api_keys_revoked", "revoked_at"),
    "logins": ("ix_logins_revoked", "revoked_at"),
}
STORES = ("assets", "stored_segments", "stored_speech", "stored_mixes")


def upgrade() -> None:
    op.execute(
        "DELETE FROM batches WHERE finished_at IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM jobs WHERE jobs.batch_id = batches.id)"
    )
    for table, (name, column) in PAST.items():
        op.create_index(name, table, [column], postgresql_where=sa.text(f"{column} IS NOT NULL"))
    op.create_index(op.f("ix_webhook_disabled_addresses_at"), "webhook_disabled_addresses", ["at"])
    for table in STORES:
        op.create_index(op.f(f"ix_{table}_storage_key"), table, ["storage_key"])


def downgrade() -> None:
    for table in STORES:
        op.drop_index(op.f(f"ix_{table}_storage_key"), table_name=table)
    op.drop_index(op.f("ix_webhook_disabled_addresses_at"), table_name="webhook_disabled_addresses")
    for table, (name, _) in PAST.items():
        op.drop_index(name, table_name=table)
