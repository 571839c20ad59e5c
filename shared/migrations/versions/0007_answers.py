"""The first answer to a POST as it was written, so that it is given again to the byte. What is older is written anew."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("idempotency_keys", sa.Column("text", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("idempotency_keys", "text")
