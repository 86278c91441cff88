"""Pauses a campaign while the host is too busy for measurements."""

import collections
from dataclasses import dataclass

from orchestrator.campaign.events import Progress
from orchestrator.errors import TransientError
from orchestrator.findings.outcome import Outcome
from orchestrator.host.protocol import Host
from orchestrator.journal.counts import CellState
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import PauseRecord
from orchestrator.plan.cell import Cell
from orchestrator.verdict.observer import MAX_UNKNOWN

#: Number of recent attempts that count, and how many of them must have ended unknown.
REMEMBERED, TOO_MANY = 8, 3

#: A campaign pauses before it starts a QEMU while tasks waited for a CPU in more than this share
#: of the last 10 s. A run of losttick alone on two CPUs stays well below it.
BUSY_PERCENT = 80.0

#: A pause ends when tasks waited for a CPU for less than this share of the last 10 s …
FREE_PERCENT = 40.0

#: … or after this time, by the host's clock. A host that does not say how busy it is gets a
#: tenth of this time.
LONGEST_NS = 120_000_000_000

_LOOK_NS = 5_000_000_000

#: Rest before another QEMU is tried after one that came to nothing, by the host's clock. Each
#: further rest is twice as long, up to the longest. A host that does not say how busy it is gets a
#: tenth of this time.
FIRST_REST_NS, LONGEST_REST_NS = 500_000_000, 8_000_000_000

#: Longest wait for a busy host after the first of such tries. It doubles from each to the next.
FIRST_WAIT_NS = 15_000_000_000

#: Time between two looks at how busy the host is, while a QEMU runs: the kernel averages over it.
LOOK_AGAIN_NS = 10_000_000_000


class BusyHostError(TransientError):
    """The host stays too busy to measure anything."""


@dataclass(slots=True)
class Patience:
    """How much longer the cells of a run wait for a busy host, all of them together.

    A host may be busy for ever. Then the run measures as well as it can: shams show what the
    host's noise is, and a cell that can't be measured is inconclusive.
    """

    for_pressure_ns: int = 30_000_000_000
    """For pauses because other programs want the CPUs, although trials succeed."""
    for_unknown_ns: int = 300_000_000_000
    """For pauses because many attempts ended unknown."""


class Pauses:
    """Decides before each QEMU of a cell whether to pause, and pauses."""

    def __init__(
        self, host: Host, cell: Cell, recorder: Recorder, progress: Progress, patience: Patience
    ) -> None:
        """Prepare.

        Args:
            host: the host of the cell.
            cell: the cell.
            recorder: notes each pause.
            progress: hears of each pause.
            patience: shared by the cells of a run.
        """
        self._host = host
        self._cell = cell
        self._recorder = recorder
        self._progress = progress
        self._patience = patience
        self._unknown: collections.deque[bool] = collections.deque(maxlen=REMEMBERED)
        self._looked_ns = host.clock.now_ns()
        """When the host was last asked how busy it is."""

    def note(self, outcome: Outcome) -> None:
        """Note the outcome of an attempt."""
        self._unknown.append(outcome is Outcome.UNKNOWN)

    async def pause_if_busy(self) -> int:
        """Pause while the host is too busy; return the duration of the pause in ns.

        Raises:
            BusyHostError: many attempts end unknown, and pauses have not helped.
        """
        if sum(self._unknown) >= TOO_MANY:
            if self._patience.for_unknown_ns > 0:
                rested_ns = await self._pause(
                    "many attempts ended unknown: the host is too busy to measure",
                    min(LONGEST_NS, self._patience.for_unknown_ns),
                )
                self._patience.for_unknown_ns -= rested_ns
                self._unknown.clear()
                return rested_ns
            self._give_up()
        if self._patience.for_pressure_ns <= 0:
            return 0
        percent = await self._pressure()
        if percent is None or percent < BUSY_PERCENT:
            return 0
        rested_ns = await self._pause(
            f"the host is busy: in {percent:.0f} % of the last 10 s some task waited for a CPU",
            self._patience.for_pressure_ns,
        )
        self._patience.for_pressure_ns -= rested_ns
        return rested_ns

    async def wanted(self) -> bool:
        """Return whether the host has become so busy that the cell should end its QEMU and pause.

        The host is asked now and then, and only as long as the run has patience left.
        """
        now_ns = self._host.clock.now_ns()
        if self._patience.for_pressure_ns <= 0 or now_ns - self._looked_ns < LOOK_AGAIN_NS:
            return False
        percent = await self._pressure()
        return percent is not None and percent >= BUSY_PERCENT

    async def rest(self, failures: int) -> int:
        """Rest before another try, because the last one came to nothing; return for how long.

        A busy host is waited for, as long as the run has patience for unknown attempts left.

        Args:
            failures: tries in a row that came to nothing.
        """
        rest_ns = min(FIRST_REST_NS << (failures - 1), LONGEST_REST_NS)
        percent = await self._pressure()
        if percent is not None and percent >= BUSY_PERCENT and self._patience.for_unknown_ns > 0:
            rested_ns = await self._pause(
                f"QEMU came to nothing {failures} time(s) in a row, and in {percent:.0f} % of the "
                "last 10 s some task waited for a CPU",
                min(LONGEST_NS, FIRST_WAIT_NS << (failures - 1), self._patience.for_unknown_ns),
            )
            self._patience.for_unknown_ns -= rested_ns
            return rested_ns
        rest_ns = rest_ns // 10 if percent is None else rest_ns
        await self._host.clock.sleep(rest_ns)
        return rest_ns

    async def _pressure(self) -> float | None:
        self._looked_ns = self._host.clock.now_ns()
        return await self._host.pressure_percent()

    def _give_up(self) -> None:
        """Raise BusyHostError if too many attempts of the cell ended unknown."""
        counts: CellState = self._recorder.state.cells[self._cell.id]
        if counts.unknown_attempts > MAX_UNKNOWN * counts.attempts:
            raise BusyHostError(
                f"measuring on a busy host: {counts.unknown_attempts} of {counts.attempts} "
                "attempts ended unknown, and long pauses did not help. Run this cell again while "
                "the host is less busy, or keep a CPU free for it"
            )

    async def _pause(self, why: str, longest_ns: int) -> int:
        """Announce and journal a pause; return its duration in ns."""
        name = self._cell.id
        self._progress.noted(f"{name}: {why}; pausing for at most {longest_ns / 1e9:.0f} s")
        rested_ns = await self._until_free(longest_ns)
        self._recorder.write(PauseRecord(name, why, rested_ns))
        self._progress.noted(f"{name}: continuing after {rested_ns / 1e9:.0f} s")
        return rested_ns

    async def _until_free(self, longest_ns: int) -> int:
        """Wait until the host is less busy, or for the longest time; return the time in ns."""
        clock = self._host.clock
        began_ns = clock.now_ns()
        while True:
            await clock.sleep(_LOOK_NS)
            rested_ns = clock.now_ns() - began_ns
            percent = await self._pressure()
            bound_ns = LONGEST_NS // 10 if percent is None else LONGEST_NS
            if rested_ns >= min(bound_ns, longest_ns):
                return rested_ns
            if percent is not None and percent < FREE_PERCENT:
                return rested_ns
