"""Which queued job is due longest, and how many are queued, by an index."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_jobs_due", "jobs", ["run_after"], postgresql_where=sa.text("state = 'queued'"))


def downgrade() -> None:
    op.drop_index("ix_jobs_due", table_name="jobs")
