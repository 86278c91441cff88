"""The runs of the history: added, found, read and removed."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from orchestrator.findings.outcome import Outcome
from orchestrator.results.comparison.arm import Arm, ArmCell
from orchestrator.results.history.database import Database, open_database
from orchestrator.results.history.entry import Entry
from orchestrator.results.history.packed import unpack
from orchestrator.results.history.place import HistoryError
from orchestrator.results.history.schema import CELLS, LABELS, RUNS
from orchestrator.stats.rate import Losses
from orchestrator.verdict.verdict import Verdict

_BY_AGE = (RUNS.c.began_at, RUNS.c.id)


@dataclass(frozen=True, slots=True)
class Run:
    """A run of the history, without its cells."""

    id: int
    identity: str
    folder: str
    host: str
    machine: str
    command: str
    verdict: str
    losttick: str
    began_at: str
    ended_at: str
    unfinished: str
    labels: tuple[str, ...]

    @property
    def name(self) -> str:
        """A name for a person."""
        labels = f" ({', '.join(self.labels)})" if self.labels else ""
        return f"run {self.id}{labels}, {self.began_at[:19] or 'no date'}"


@dataclass(frozen=True, slots=True)
class CellRow:
    """What the history says of a cell of a run."""

    cell: str
    verdict: str
    finding: str
    why: str
    trials: int
    lost: int
    facts: dict[str, str]


class History:
    """An open history."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.name = database.name
        """The database, for a message."""

    def add(self, entry: Entry) -> tuple[int, bool]:
        """Add a run, or replace what was known of it.

        Returns:
            The run's number, and whether it is new.
        """
        (added,) = self.add_all([entry])
        return added

    def add_all(self, entries: Sequence[Entry]) -> list[tuple[int, bool]]:
        """Add runs, or replace what was known of them, all in one transaction.

        Args:
            entries: runs with different identities.

        Returns:
            Each run's number, and whether it is new.
        """
        with self._database.change("adding a run to") as connection:
            identities = [entry.run["identity"] for entry in entries]
            chosen = select(RUNS.c.identity).where(RUNS.c.identity.in_(identities))
            known = set(connection.scalars(chosen))
            # Each run is locked until the end. In any other order, two writers could wait for each
            # other. Another one may have added a run just before it was locked.
            ordered = sorted(zip(identities, entries, strict=True), key=lambda each: each[0])
            of_run = {identity: _add_run(connection, entry) for identity, entry in ordered}
            numbers = [of_run[identity] for identity in identities]
            for table in (CELLS, LABELS):
                connection.execute(delete(table).where(table.c.run.in_(numbers)))
            both = list(zip(numbers, entries, strict=True))
            cells = [{"run": number, **row} for number, entry in both for row in entry.cells]
            labels = [{"run": number, "label": x} for number, entry in both for x in entry.labels]
            for table, rows in ((CELLS, cells), (LABELS, labels)):
                if rows:
                    connection.execute(insert(table), rows)
        return [
            (number, identity not in known)
            for number, identity in zip(numbers, identities, strict=True)
        ]

    def runs(
        self, *, label: str = "", host: str = "", newest: int | None = None
    ) -> list[Run]:  # fmt: skip
        """Return runs, the oldest first.

        Args:
            label: that they must have; empty for any.
            host: on which they ran; empty for any.
            newest: how many of the newest; None for all.
        """
        with self._database.read("reading") as connection:
            chosen = select(RUNS)
            if label:
                chosen = chosen.where(RUNS.c.id.in_(_labelled(label)))
            if host:
                chosen = chosen.where(RUNS.c.host == host)
            chosen = chosen.order_by(*(each.desc() for each in _BY_AGE)).limit(newest)
            found = [_run(connection, row) for row in connection.execute(chosen)]
        return found[::-1]

    def find(self, name: str) -> Run:
        """Return the run that a name means.

        Args:
            name: the run's number; a label, for the newest run that has it; `label~2` for the
                second before that; or `kernel=VERSION`, for the newest run with that kernel.

        Raises:
            HistoryError: there is none.
        """
        with self._database.read("reading") as connection:
            base, _, back = name.partition("~")
            chosen = select(RUNS)
            if name.isdecimal():
                chosen = chosen.where(RUNS.c.id == min(int(name), 2**31 - 1))
            elif base.startswith("kernel="):
                runs = (
                    row.run
                    for row in connection.execute(select(CELLS.c.run, CELLS.c.facts))
                    if row.facts.get("kernel") == base.removeprefix("kernel=")
                )
                chosen = chosen.where(RUNS.c.id.in_(set(runs)))
            else:
                chosen = chosen.where(RUNS.c.id.in_(_labelled(base)))
            steps = int(back) if back.isdecimal() and len(back) < 7 else 0
            chosen = chosen.order_by(*(each.desc() for each in _BY_AGE)).offset(steps).limit(1)
            row = connection.execute(chosen).first()
            if row is None or (back and not back.isdecimal()):
                raise HistoryError(
                    f"finding {name!r}: it is neither a folder nor a run of the history "
                    f"{self.name}. `losttick history list` lists its runs."
                )
            return _run(connection, row)

    def before(self, run: Run) -> Run | None:
        """Return the run before: the last one on the same host that began before it.

        It must have a cell in common with the run, and the same labels.
        """
        with self._database.read("reading") as connection:
            cells = select(CELLS.c.cell).where(CELLS.c.run == run.id)
            chosen = (
                select(RUNS)
                .where(RUNS.c.host == run.host, RUNS.c.id != run.id)
                .where(
                    (RUNS.c.began_at < run.began_at)
                    | ((RUNS.c.began_at == run.began_at) & (RUNS.c.id < run.id))
                )
                .where(RUNS.c.id.in_(select(CELLS.c.run).where(CELLS.c.cell.in_(cells))))
                .order_by(*(each.desc() for each in _BY_AGE))
            )
            for label in run.labels:
                chosen = chosen.where(RUNS.c.id.in_(_labelled(label)))
            row = connection.execute(chosen.limit(1)).first()
            return _run(connection, row) if row is not None else None

    def overlapping(self, run: Run) -> list[Run]:
        """Return the other runs that went on at the same time on the same host."""
        if not run.began_at or not run.ended_at:
            return []
        with self._database.read("reading") as connection:
            chosen = select(RUNS).where(
                RUNS.c.host == run.host, RUNS.c.id != run.id,
                RUNS.c.began_at < run.ended_at, RUNS.c.ended_at > run.began_at,
            )  # fmt: skip
            rows = connection.execute(chosen.order_by(*_BY_AGE))
            return [_run(connection, row) for row in rows]

    def cells(self, run: Run) -> list[CellRow]:
        """Return the cells of a run, in the order of its plan."""
        columns = [CELLS.c[name] for name in CellRow.__annotations__]
        with self._database.read("reading") as connection:
            rows = connection.execute(
                select(*columns).where(CELLS.c.run == run.id).order_by(CELLS.c.place)
            )
            return [CellRow(**row._mapping) for row in rows]

    def skipped_last(self) -> Iterator[tuple[str, int, str, str]]:
        """Yield the cells that the newest run of each host skipped: host, run, cell and why."""
        ages = select(RUNS.c.host, func.max(RUNS.c.began_at).label("newest"))
        newest = ages.group_by(RUNS.c.host).subquery()
        chosen = (
            select(RUNS.c.host, RUNS.c.id, CELLS.c.cell, CELLS.c.why)
            .join(newest, (RUNS.c.host == newest.c.host) & (RUNS.c.began_at == newest.c.newest))
            .join(CELLS, CELLS.c.run == RUNS.c.id)
            .where(CELLS.c.verdict == Verdict.SKIPPED.value)
            .order_by(RUNS.c.host, CELLS.c.place)
        )
        with self._database.read("reading") as connection:
            for row in connection.execute(chosen):
                yield row.host, row.id, row.cell, row.why

    def arm(self, run: Run, name: str = "") -> Arm:
        """Return a run, to be compared.

        Raises:
            HistoryError: its counts are damaged.
        """
        with self._database.read("reading") as connection:
            rows = connection.execute(
                select(CELLS).where(CELLS.c.run == run.id).order_by(CELLS.c.place)
            ).all()
            untested = connection.scalar(select(RUNS.c.untested).where(RUNS.c.id == run.id))
        try:
            cells = tuple(_arm_cell(row) for row in rows if row.trials)
        except (ValueError, LookupError, TypeError) as error:
            raise HistoryError(
                f"reading run {run.id} of the history {self.name}: {error}. Add it again with "
                f"`losttick history add {run.folder}`."
            ) from error
        return Arm(
            name or f"{run.name} ({run.folder})", cells, untested or {}, run.began_at,
            run.ended_at, run.unfinished,
        )  # fmt: skip

    def nights(self, label: str = "", host: str = "") -> Iterator[Any]:
        """Yield the counts of every cell of every run, the oldest run first."""
        chosen = (
            select(
                RUNS.c.id, RUNS.c.host, RUNS.c.began_at, CELLS.c.cell, CELLS.c.trials,
                CELLS.c.lost, CELLS.c.unresolved, CELLS.c.save_classes, CELLS.c.facts,
                CELLS.c.blind,
            )
            .join(CELLS, CELLS.c.run == RUNS.c.id)
            .where(CELLS.c.trials > 0)
            .order_by(*_BY_AGE)
        )  # fmt: skip
        if label:
            chosen = chosen.where(RUNS.c.id.in_(_labelled(label)))
        if host:
            chosen = chosen.where(RUNS.c.host == host)
        with self._database.read("reading") as connection:
            yield from connection.execute(chosen).all()

    def remove(self, runs: Sequence[Run]) -> None:
        """Remove runs from the history; their folders stay."""
        with self._database.change("removing runs from") as connection:
            connection.execute(delete(RUNS).where(RUNS.c.id.in_([run.id for run in runs])))


def open_history(name: str) -> History:
    """Open a history, and make it if it is not there; see `open_database`."""
    return History(open_database(name))


def _add_run(connection: Connection, entry: Entry) -> int:
    """Add a run without its cells, or replace it; return its number."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    changed = {name: value for name, value in entry.run.items() if name != "identity"}
    statement = make(RUNS).values(**entry.run)
    number = connection.scalar(
        statement.on_conflict_do_update(index_elements=[RUNS.c.identity], set_=changed).returning(
            RUNS.c.id
        )
    )
    assert isinstance(number, int)
    return number


def _labelled(label: str) -> "sa.Select[tuple[int]]":
    return select(LABELS.c.run).where(LABELS.c.label == label)


def _run(connection: Connection, row: "Row[Any]") -> Run:
    labels = connection.scalars(
        select(LABELS.c.label).where(LABELS.c.run == row.id).order_by(LABELS.c.label)
    )
    fields = {name: row._mapping[name] for name in Run.__annotations__ if name != "labels"}
    return Run(**fields, labels=tuple(labels))


def _arm_cell(row: "Row[Any]") -> ArmCell:
    by_save, ticks = unpack(row.saves, row.loads_per_save)
    return ArmCell(
        id=row.cell,
        like=row.alike,
        losses=Losses(row.trials, row.lost, row.unresolved, by_save, row.planned),
        rule_out=float(row.rule_out),
        outcomes=Counter({Outcome(name): count for name, count in row.outcomes.items()}),
        ticks=ticks,
        period_ns=row.period_ns,
        facts=row.facts,
        blind=row.blind,
    )
