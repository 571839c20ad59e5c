"""An account's failed and canceled jobs, newest first, however many others wait or have succeeded."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_jobs_unsuccessful",
        "jobs",
        ["account_id", "state", sa.text("created_at DESC"), sa.text("id DESC")],
        postgresql_where=sa.text("state IN ('failed', 'canceled')"),
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_unsuccessful", table_name="jobs")
