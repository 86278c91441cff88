"""Pairs each load of a cell with a sham, from the cell's first late tick on."""

import random

from orchestrator.campaign.events import Progress
from orchestrator.campaign.last_load import ticks_after_last_load
from orchestrator.campaign.sham_guest import ShamGuest
from orchestrator.findings.outcome import Outcome, TrialResult
from orchestrator.findings.save import Save
from orchestrator.journal.pairing import Pairing
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.trial_record import Role
from orchestrator.plan.cell import Cell
from orchestrator.trial.aim import Saver
from orchestrator.trial.follow import LEAST_TICKS
from orchestrator.trial.limits import Limits
from orchestrator.trial.pace import Paces
from orchestrator.trial.resume import load_manner
from orchestrator.trial.sham import Sham
from orchestrator.verdict.anomalies import CERTAIN
from orchestrator.verdict.late import decided_early, pairs_to_run
from orchestrator.verdict.observer import MAX_UNKNOWN, loads_beside_unknown

#: Duration of a sham's pause until a load has been timed in this session.
USUAL_LOAD_NS = 3_000_000

#: A cell that runs more loads than were planned to complete its pairs gives up after this many
#: attempts for each pair that it should run.
MOST_ATTEMPTS = 2


class Shams:
    """Says whether a load or a sham comes next, and runs the shams of one cell."""

    def __init__(self, cell: Cell, planned: int, recorder: Recorder, progress: Progress) -> None:
        """Prepare.

        Args:
            cell: the cell.
            planned: planned number of loads.
            recorder: journal and counts of the run.
            progress: hears when the pairing begins.
        """
        self._cell = cell
        self._id = cell.id
        self._planned = planned
        self._recorder = recorder
        self._progress = progress
        self._announced = self._grown = False
        self._drawn: tuple[int, Role] = (0, Role.HOST)
        """A pair, and the member of it that was drawn to be the first."""
        self.loading_ns = USUAL_LOAD_NS
        """How long the last load took."""
        self._ticks: tuple[int, int] = (0, 0)
        """A pair, and how many ticks its first member followed."""

    @property
    def _pairing(self) -> Pairing:
        return self._recorder.state.cells[self._id].pairing

    @property
    def _running(self) -> bool:
        """True while loads are to be paired."""
        pairing, cells = self._pairing, len(self._recorder.state.cells)
        return pairing.began and not decided_early(pairing.first_look, cells)

    @property
    def loads_left(self) -> int:
        """Loads that the cell has still to run.

        They are the planned ones, and more for its pairs, or beside its unknown attempts.
        """
        pairing, state = self._pairing, self._recorder.state
        cell = state.cells[self._id]
        planned = max(self._planned - cell.trials, 0)
        if any(cell.outcomes[each] for each in CERTAIN):
            return planned  # further loads would not change the verdict
        left = max(planned, self._beside_unknown())
        if not self._running:
            return left
        wanted = pairs_to_run(len(state.cells), self._planned)
        more = wanted - pairing.counts.pairs if pairing.loads < MOST_ATTEMPTS * wanted else 0
        return max(left, more)

    def _beside_unknown(self) -> int:
        cell = self._recorder.state.cells[self._id]
        if cell.cut_off_attempts or cell.outcomes[Outcome.UNKNOWN]:
            return 0  # somebody ended a session, perhaps for a hang; or a trial stalled each time
        return loads_beside_unknown(cell.attempts, cell.unknown_attempts, self._planned)

    @property
    def next_member(self) -> tuple[int, Role] | None:
        """The pair to which the next member belongs, and which member it is.

        None if loads are not paired.

        Each pair has a generator of its own, so that no other draw of the run depends on it.
        """
        if not self._running:
            return None
        pairing = self._pairing
        if missing := pairing.missing:
            return pairing.number, missing
        number = pairing.number + 1
        if self._drawn[0] != number:
            rng = random.Random(f"{self._recorder.state.seed}/{self._id}/pair/{number}")
            self._drawn = number, rng.choice((Role.HOST, Role.SHAM))
        return self._drawn

    @property
    def due(self) -> bool:
        """True if a sham comes before the next load."""
        found = self.next_member
        return found is not None and found[1] is Role.SHAM

    @property
    def pair(self) -> int | None:
        """The pair to which the next load belongs; None if it belongs to none."""
        found = self.next_member
        return found[0] if found else None

    def ticks(self, save: Save, load: int) -> int:
        """Return how many ticks of each vCPU the next load, or the sham before it, follows.

        They are more for the last load of a save. Both members of a pair follow as many,
        because each further tick may be late.

        Args:
            save: the save that is loaded.
            load: number of the next load among those of the save, from 1.
        """
        wanted = LEAST_TICKS
        if load == self._cell.loads_per_save or self.loads_left == 1:
            wanted = ticks_after_last_load(self._recorder.state.seed, self._id, save.tag)
        found = self.next_member
        if found is None:
            return wanted
        number, member = found
        if self._ticks[0] != number or self._pairing.missing is None:
            self._ticks = number, wanted
        if member is Role.HOST and self._ticks[1] == LEAST_TICKS:
            return wanted  # the last load of a save is followed longer in any case
        return self._ticks[1]

    async def run(
        self,
        guest: ShamGuest,
        saver: Saver,
        paces: Paces,
        limits: Limits,
        save: Save,
        ticks: int,
    ) -> TrialResult:
        """Run and journal the sham that is due.

        Args:
            guest: the guest for it.
            saver: of the guest that is loaded, which runs before and after the sham.
            paces: of that guest.
            limits: limits of silence for the guest's period.
            save: the save whose loads are paired with shams, for its phase.
            ticks: how many ticks of each vCPU to follow.

        Raises:
            NoSaveError: one of the two guests does not tick.
            MonitorError: its QEMU failed before it was stopped.
            QemuStartError, GuestStartError: the guest for shams did not start.
        """
        found = self.next_member
        assert found, "no sham is due"
        number, _ = found
        manner = load_manner(self._cell, limits.period_ns)
        unloaded = await guest.take_over(saver)
        sham = Sham(unloaded.instance, unloaded.saver, unloaded.paces, limits)
        stood, result = await sham.run(
            f"sham{number}",
            save.intended_phase,
            manner.pause_before_load_ns + self.loading_ns + manner.pause_before_cont_ns,
            ticks,
        )
        self._recorder.sham(self._cell, number, stood, result)
        if result.outcome.ticked:
            await guest.hand_back(saver, paces)
        return result

    def announce(self) -> None:
        """Say once that loads are paired from now on, and once that more than planned are run."""
        cell = self._recorder.state.cells[self._id]
        if cell.trials >= self._planned and not self._grown and (more := self._beside_unknown()):
            self._grown = True
            self._progress.noted(
                f"{self._id}: {cell.unknown_attempts} of {cell.attempts} attempts ended unknown, "
                f"more than {MAX_UNKNOWN:.0%}. {more} more loads than planned are run: a few "
                "stalls of the host should not cost the verdict"
            )
        if self._running and not self._announced:
            self._announced = True
            self._progress.noted(
                f"{self._cell.id}: a tick came late. From now on each load is paired with a sham "
                "(stop and continue without a load), to tell a busy host from a fault of the load; "
                f"{self.loads_left} loads are left"
            )
