"""Alembic's entry point: it runs on the connection that `run.migrate` passes."""

from alembic import context

from shared.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
