"""Signed links to artifacts: a secret of each account, independent of its API keys, and how long a job's links last."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# 244 random bits of the operating system; each row gets its own.
RANDOM = "replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')"


def upgrade() -> None:
    column = sa.Column("link_secret", sa.Text(), nullable=False, server_default=sa.text(RANDOM))
    op.add_column("accounts", column)
    op.add_column("jobs", sa.Column("link_seconds", sa.BigInteger()))


def downgrade() -> None:
    op.drop_column("jobs", "link_seconds")
    op.drop_column("accounts", "link_secret")
