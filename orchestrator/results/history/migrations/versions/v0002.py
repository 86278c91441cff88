"""The saves of each class of the first tick, for the trend."""

import sqlalchemy as sa
from alembic import op

from orchestrator.results.history.packed import unpack

revision = "0002"
down_revision = "0001"

_CELLS = sa.table(
    "cells",
    sa.column("run", sa.Integer),
    sa.column("cell", sa.Text),
    sa.column("loads_per_save", sa.Integer),
    sa.column("saves", sa.LargeBinary),
    sa.column("save_classes", sa.JSON),
)


def upgrade() -> None:
    """Count the saves of each class from the counts of each save, a run at a time."""
    op.add_column(
        "cells", sa.Column("save_classes", sa.JSON, nullable=False, server_default="[0, 0, 0]")
    )
    connection = op.get_bind()
    for run in connection.scalars(sa.select(_CELLS.c.run).distinct()).all():
        rows = connection.execute(sa.select(_CELLS).where(_CELLS.c.run == run)).all()
        for row in rows:
            connection.execute(
                sa.update(_CELLS)
                .where(_CELLS.c.run == run, _CELLS.c.cell == row.cell)
                .values(save_classes=_counted(row.saves, row.loads_per_save))
            )


def _counted(saves: bytes, loads_per_save: int) -> list[int]:
    try:
        return unpack(saves, loads_per_save)[1].saves_by_class
    except ValueError:  # a comparison of this run will say that its counts are damaged
        return [0, 0, 0]
