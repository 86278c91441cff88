"""The migrations of the history's tables, as Alembic runs them."""
