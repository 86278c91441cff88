"""The verdicts of a run and of its cells, from the state that its journal folds to."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.bugs.catalogue import APICV_BUG
from orchestrator.bugs.exposure import Exposure, ExposureState, exposure, refine
from orchestrator.bugs.hyperv import enlightenments, ticks_by_stimer
from orchestrator.bugs.likeness import Likeness, likenesses
from orchestrator.findings.lab import LabIdentity
from orchestrator.findings.outcome import LATE, Outcome
from orchestrator.findings.series import DirectCounts
from orchestrator.findings.witness import Says, Statement
from orchestrator.host.facts import HostFacts
from orchestrator.journal.counts import CellState
from orchestrator.journal.fold import RunState
from orchestrator.plan.cell import Cell
from orchestrator.plan.choices import Requirement
from orchestrator.plan.plan import Plan
from orchestrator.stats.rate import Losses, LossRate, loss_rate
from orchestrator.verdict.arm import lab_ends, lab_verdict
from orchestrator.verdict.case import Case, Tally
from orchestrator.verdict.cell import decide
from orchestrator.verdict.ending import Ending
from orchestrator.verdict.expired import posts_timers
from orchestrator.verdict.fixed_tick import fixed_tick
from orchestrator.verdict.late import late_anomalies
from orchestrator.verdict.missed import missed_as_lost
from orchestrator.verdict.period_rule import period_changes
from orchestrator.verdict.run_error_rate import CellBound, statement
from orchestrator.verdict.verdict import Ended, Verdict, overall
from orchestrator.verdict.witness import witnesses
from orchestrator.vm.config import Accel


@dataclass(frozen=True, slots=True)
class CellResult:
    """A cell and its verdict."""

    cell: Cell
    facts: HostFacts
    """The host on which the cell was counted."""
    verdict: Verdict
    why: str
    exposure: Exposure
    counts: CellState
    rate: LossRate
    likenesses: tuple[Likeness, ...] = ()
    """Known bugs that trials look like, without the bug that makes a host `affected`."""
    witnesses: tuple[Statement, ...] = ()
    """The statements of second witnesses about losses that were diagnosed as the known bug."""
    loads_blamed: bool = False
    """True if loads make ticks late. Otherwise late ticks are the host's own noise."""
    losses: Losses = field(default_factory=lambda: Losses(0, 0))
    """The counts that the loss rate is based on."""
    rule_out: float = 0.01
    """The loss rate that the plan wants ruled out."""

    @property
    def witnessed(self) -> bool:
        """True if a second witness agrees that losses are the bug that makes a host `affected`."""
        return any(each.says is Says.AGREES for each in self.witnesses)

    @property
    def classes(self) -> Counter[Outcome]:
        """The trials by outcome; a late tick that is the host's own counts as `indistinct`."""
        found = Counter(self.counts.outcomes)
        if not self.loads_blamed and self.counts.pairing.counts.pairs:
            for late in LATE:
                found[Outcome.INDISTINCT] += found.pop(late, 0)
        return +found

    accepted: bool = False
    """True if the plan accepts that the cell was skipped."""

    @property
    def ended(self) -> Ended:
        """The end of the cell, which the exit code depends on."""
        return Ended(self.verdict, self.counts.failure is not None and not self.counts.transient)

    @property
    def lab(self) -> LabIdentity | None:
        """The identity of the lab, if a lab booted the cell's host."""
        return self.counts.lab

    @property
    def expected(self) -> str | None:
        """The verdict that the cell must get for its lab to prove anything.

        None if the cell's verdict is the question. The answer of a known arm is known only for
        timers and saved states that the known bug strikes.
        """
        strikes = APICV_BUG.strikes(self.cell.mode, self.cell.state)
        return self.lab.expected if self.lab and strikes else None


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run and its verdict."""

    verdict: Verdict
    cells: list[CellResult]
    facts: HostFacts
    """The host of the last session."""
    seed: int
    journal: Path
    statement: str = ""
    """The error rate at which the verdicts of all cells hold."""
    changed: tuple[str, ...] = ()
    """Names of host facts that differ from the session before, if the run was resumed."""
    interrupted: str | None = None
    """Why the run has not ended; None if it has."""
    went_down: str = ""
    """The trial in which the host went down, in words; empty if it did not, or is not known to."""
    losttick: str = ""
    """The version that ran last."""
    began_at: str = ""
    """UTC, in ISO 8601."""
    ended_at: str = ""
    """The end of the last session; empty if that was killed, or goes on."""
    machine: str = ""
    """A digest of the machine that ran last; empty if it is not known."""

    @property
    def failed(self) -> bool:
        """True if the harness failed in any cell."""
        return any(result.ended.failed for result in self.cells)

    @property
    def ends(self) -> list[Ended]:
        """The ends of the cells that decide the exit code."""
        arms = _arms(self.cells)
        if arms is None:
            return [cell.ended for cell in asked_for(self.cells)]
        return lab_ends([(lab, cell.ended) for lab, cell in zip(arms, self.cells, strict=True)])

    @property
    def telling(self) -> CellResult:
        """The first cell with the run's verdict.

        In a lab run only the cells of untouched kernels count, if there are any. If none of
        them has the run's verdict, because a known arm surprised, it is the first of them.
        """
        cells = asked_for(self.cells)
        asked = [each for each in cells if not each.lab or each.lab.untouched] or cells
        return next((each for each in asked if each.verdict is self.verdict), asked[0])


def judge_run(state: RunState, journal: Path) -> RunResult:
    """Return the verdicts of a run and of each of its cells.

    A cell that has not come to its end is `affected` or `anomalous` if its counts say so
    already, and else `inconclusive`.

    Args:
        state: of the run, finished or not.
        journal: where the records are.
    """
    results = [judge_cell(cell, state, cut_short=not cell.ended) for cell in state.cells.values()]
    interrupted = None
    if state.verdict is None:
        interrupted = state.interrupted or "its journal names no reason"
    bounds = [
        CellBound(result.verdict, result.counts.trials, result.counts.outcomes[Outcome.UNKNOWN])
        for result in results
    ]
    return RunResult(
        verdict=run_verdict(results),
        cells=results,
        facts=state.facts,
        seed=state.seed,
        journal=journal,
        statement=statement(bounds, state.plan.limits.confidence),
        changed=state.changed,
        interrupted=interrupted,
        losttick=state.losttick,
        began_at=state.began_at,
        ended_at=state.ended_at,
        machine=state.boot.machine,
    )


def run_verdict(results: Sequence[CellResult]) -> Verdict:
    """Return the verdict of a run: the gravest of its cells, or a lab's by its known arms."""
    arms = _arms(results)
    if arms is None:
        return overall([result.verdict for result in asked_for(results)])
    return lab_verdict([(lab, each.verdict) for lab, each in zip(arms, results, strict=True)])


def asked_for(results: Sequence[CellResult]) -> Sequence[CellResult]:
    """Return the cells without those whose skip the plan accepts, unless these are all."""
    return [result for result in results if not result.accepted] or results


def _arms(results: Sequence[CellResult]) -> list[LabIdentity] | None:
    """Return the arm of each cell, with the verdict expected of it; None if not all have one."""
    arms = [replace(each.lab, expected=each.expected) for each in results if each.lab]
    return arms if len(arms) == len(results) > 0 else None


def judge_cell(state: CellState, run: RunState, *, cut_short: bool = False) -> CellResult:
    """Return the verdict of a cell.

    Args:
        state: the cell's state.
        run: the run, for its plan and the number of its cells.
        cut_short: whether the run ended before the cell did.
    """
    plan, cell = run.plan, state.cell
    losses = _losses(state, plan)
    rate = loss_rate(losses, plan.limits.confidence)
    facts = state.facts or run.facts
    if state.facts is None:
        exposed = Exposure(ExposureState.UNKNOWN, "its host did not come up")
    else:
        known = exposure(facts, cell.accel, cell.mode, cell.irqchip, cpu=cell.cpu, state=cell.state)
        exposed = refine(known, state.apicv)
    direct = state.direct_test if isinstance(state.direct_test, DirectCounts) else None
    case = Case(
        _tally(state, run),
        rate,
        plan.limits.rule_out,
        exposed,
        likenesses(state.symptoms, facts, cell.accel, cell.irqchip),
        _ending(state, plan, cut_short=cut_short),
        period_changes=period_changes(state, len(run.cells)),
        fixed_tick=fixed_tick(state),
        expired_saves=state.expired_saves,
        saves=state.saves,
        posts_timers=posts_timers(facts, cell),
        untested_enlightenments=_untested_enlightenments(cell),
        timer_in_saves=cell.state.timer_runs,
        apicv_required=Requirement.APICV in plan.require,
        witnesses=witnesses(state, run),
        direct=direct,
        saves_again=state.saves_again,
        failed_saves=state.failed_saves,
        failed_save_why=state.failed_save_why,
        stopped_unloaded=state.stopped_unloaded,
        stopped_why=state.stopped_why,
        went_down=tuple(state.went_down),
        ask_witness_by="`losttick lab probe`" if state.lab else "`losttick probe`",
    )
    verdict, why = _verdict(state, case)
    return CellResult(
        cell, facts, verdict, why, exposed, state, rate, case.likenesses, case.witnesses,
        loads_blamed=bool(late_anomalies(case)),
        losses=losses,
        rule_out=plan.limits.rule_out,
        accepted=verdict is Verdict.SKIPPED and state.lacks in plan.accept_skips,
    )  # fmt: skip


def _verdict(state: CellState, case: Case) -> tuple[Verdict, str]:
    if state.skipped is not None and not (state.attempts or state.controls):
        return Verdict.SKIPPED, state.skipped
    verdict, why = decide(case)
    if state.cell.vcpus > 1 and state.lost_by_vcpu:
        counts = sorted(state.lost_by_vcpu.items())
        why += ". Losses by vCPU: " + ", ".join(f"{lost} on {vcpu}" for vcpu, lost in counts)
    return verdict, why


def _ending(state: CellState, plan: Plan, *, cut_short: bool) -> Ending:
    return Ending(
        trials=state.trials,
        lost=state.outcomes[Outcome.LOST],
        planned=plan.limits.planned,
        failure=state.given_up,
        control_missing=state.control_missing,
        interrupted=cut_short,
        resume=state.unfinished and not state.cell.host,
        seconds=plan.limits.seconds if state.out_of_time else None,
    )


def _untested_enlightenments(cell: Cell) -> tuple[str, ...]:
    if cell.accel is not Accel.KVM or ticks_by_stimer(cell.mode):
        return ()
    return enlightenments(cell.cpu)


def _tally(state: CellState, run: RunState) -> Tally:
    return Tally(
        outcomes=state.outcomes,
        causes=state.causes,
        bug_losses=state.bug_losses,
        attempts=state.attempts,
        unknown_attempts=state.unknown_attempts,
        controls_seen=sum(control.seen for control in state.controls),
        controls=state.controls_begun,
        planned=run.plan.limits.planned,
        cells=len(run.cells),
        vcpus=state.cell.vcpus,
        on_other_vcpus=state.on_other_vcpus,
        pairs=state.pairing.counts,
        missed_as_lost=missed_as_lost(state),
        first_pairs=state.pairing.first_look,
        unrestored=next((each.unrestored for each in state.controls if each.unrestored), ""),
    )


def _losses(state: CellState, plan: Plan) -> Losses:
    return Losses(
        trials=state.trials,
        lost=state.outcomes[Outcome.LOST],
        unresolved=state.outcomes[Outcome.UNKNOWN] + missed_as_lost(state),
        by_save=state.by_save,
        planned=plan.limits.planned,
    )
