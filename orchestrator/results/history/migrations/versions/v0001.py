"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("identity", sa.String(64), nullable=False, unique=True),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("folder", "host", "machine", "command")
        ),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("losttick", sa.Text, nullable=False),
        sa.Column("began_at", sa.String(40), nullable=False),
        sa.Column("ended_at", sa.String(40), nullable=False),
        sa.Column("unfinished", sa.Text, nullable=False),
        sa.Column("untested", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("runs_by_host", "runs", ["host", "began_at"])
    op.create_table(
        "labels",
        _run(),
        sa.Column("label", sa.String(200), primary_key=True),
    )
    op.create_index("labels_by_name", "labels", ["label"])
    op.create_table(
        "cells",
        _run(),
        sa.Column("cell", sa.Text, primary_key=True),
        sa.Column("alike", sa.Text, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("finding", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("trials", "lost", "unresolved")),
        sa.Column("planned", sa.Integer),
        sa.Column("rule_out", sa.Text, nullable=False),
        sa.Column("loads_per_save", sa.Integer, nullable=False),
        sa.Column("period_ns", sa.BigInteger),
        sa.Column("blind", sa.Text, nullable=False),
        *(
            sa.Column(name, sa.JSON, nullable=False)
            for name in ("outcomes", "facts", "first_ticks")
        ),
        sa.Column("saves", sa.LargeBinary, nullable=False),
    )
    op.create_index("cells_by_name", "cells", ["cell"])


def _run() -> "sa.Column[int]":
    return sa.Column(
        "run", sa.Integer, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
    )
