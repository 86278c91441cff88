"""Runs the migrations in the connection, and the transaction, that `database.py` has opened."""

from alembic import context

from orchestrator.results.history.schema import METADATA, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    transactional_ddl=False,  # the caller's transaction holds them all
)
context.run_migrations()
