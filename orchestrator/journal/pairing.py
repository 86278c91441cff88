"""The pairs of a load and a sham that a cell has run since its first late tick.

A sham does what a load does, except for the load: it stops the guest, waits, and continues it.
On a busy host ticks come late after shams too, so a sham beside each load is the baseline for
late ticks.
"""

from collections import Counter
from dataclasses import dataclass, field

from orchestrator.findings.outcome import LATE, Outcome
from orchestrator.journal.trial_record import Role
from orchestrator.stats.pairs import NO_PAIRS, PairCounts

#: Number of pairs after which the test is read for the first time.
FIRST_LOOK = 20


@dataclass(slots=True)
class Pairing:
    """The pairs of a cell. The first late tick begins the pairing and is not part of a pair."""

    began: bool = False
    """True from the first late tick on."""
    number: int = 0
    """Number of the last pair that was begun, from 1; 0 if there is none."""
    loads: int = 0
    """Attempts at loads that were members of pairs."""
    shams: Counter[Outcome] = field(default_factory=Counter)
    """Attempts at shams, by outcome."""
    counts: PairCounts = NO_PAIRS
    """The complete pairs. The load is the treated member."""
    first_look: PairCounts | None = None
    """The first `FIRST_LOOK` complete pairs; None until there are so many."""
    _done: tuple[Role, bool] | None = None
    """The finished member of the open pair, and whether it was late; None if no pair is open."""

    @property
    def missing(self) -> Role | None:
        """The member that the open pair still needs; None if no pair is open."""
        if self._done is None:
            return None
        return Role.SHAM if self._done[0] is Role.HOST else Role.HOST

    def note(self, role: Role, number: int, outcome: Outcome) -> None:
        """Note a member of a pair.

        A pair is dropped if one of its members is neither late nor in time, such as one that
        stayed unknown. Without an effect of the load this befalls both members alike.
        """
        if role is Role.SHAM:
            self.shams[outcome] += 1
        else:
            self.loads += 1
        if number != self.number:
            self.number, self._done = number, None
        elif self.missing is not role:  # the pair was dropped
            self._done = None
            return
        late = outcome in LATE
        if not late and not outcome.ticked:
            self._done = None
        elif self._done is None:
            self._done = role, late
        else:
            self._complete(self._done[0], self._done[1], late)

    def drop_open(self) -> None:
        """Drop a pair of which only one member is done."""
        self._done = None

    def _complete(self, first: Role, first_late: bool, second_late: bool) -> None:
        load, sham = (
            (first_late, second_late) if first is Role.HOST else (second_late, first_late)
        )  # fmt: skip
        before, self._done = self.counts, None
        self.counts = PairCounts(
            before.pairs + 1,
            before.treated_only + (load and not sham),
            before.untreated_only + (sham and not load),
        )
        if self.counts.pairs == FIRST_LOOK:
            self.first_look = self.counts
