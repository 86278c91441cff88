"""The tables of the history. A change of them needs a migration in `migrations/versions`."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

METADATA = MetaData()

#: The revision of the newest migration.
NEWEST = "0002"

#: The table with the revision of a database.
VERSION_TABLE = "losttick_version"

#: One row a run.
RUNS = Table(
    "runs",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    # SHA-256 of the journal's first record, which no other run has.
    Column("identity", String(64), nullable=False, unique=True),
    Column("folder", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("machine", Text, nullable=False),
    Column("command", Text, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("losttick", Text, nullable=False),
    Column("began_at", String(40), nullable=False),
    Column("ended_at", String(40), nullable=False),
    # Why the run has not ended; empty if it has.
    Column("unfinished", Text, nullable=False),
    Column("untested", JSON, nullable=False),
    sqlite_autoincrement=True,
)

Index("runs_by_host", RUNS.c.host, RUNS.c.began_at)

#: The labels of runs.
LABELS = Table(
    "labels",
    METADATA,
    Column("run", Integer, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("label", String(200), primary_key=True),
)

Index("labels_by_name", LABELS.c.label)

#: One row a cell that was tested or skipped; no row a trial.
CELLS = Table(
    "cells",
    METADATA,
    Column("run", Integer, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("cell", Text, primary_key=True),
    Column("alike", Text, nullable=False),
    Column("place", Integer, nullable=False),
    Column("verdict", String(16), nullable=False),
    # The known bug, or the outcomes that went wrong; empty if nothing did.
    Column("finding", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("trials", Integer, nullable=False),
    Column("lost", Integer, nullable=False),
    Column("unresolved", Integer, nullable=False),
    Column("planned", Integer),
    Column("rule_out", Text, nullable=False),
    Column("loads_per_save", Integer, nullable=False),
    Column("period_ns", BigInteger),
    Column("blind", Text, nullable=False),
    Column("outcomes", JSON, nullable=False),
    Column("facts", JSON, nullable=False),
    # The first ticks in bins of a twentieth of a period, by number of the bin.
    Column("first_ticks", JSON, nullable=False),
    # The number of saves whose first ticks are mostly of each of `CLASSES`.
    Column("save_classes", JSON, nullable=False),
    # The counts of each save: see `packed.py`.
    Column("saves", LargeBinary, nullable=False),
)

Index("cells_by_name", CELLS.c.cell)
