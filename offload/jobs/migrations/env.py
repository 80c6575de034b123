"""Alembic's entry point: migrates over the connection that the caller holds."""

from alembic import context

from offload.jobs.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata
)
context.run_migrations()
