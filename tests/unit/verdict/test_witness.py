"""The second witness: what it makes of losses that were diagnosed as the known bug."""

from dataclasses import replace

import pytest

from orchestrator.campaign.witness import ask_witness, wants_witness
from orchestrator.direct.witness import WITNESS
from orchestrator.errors import UnfitError
from orchestrator.findings.cause import Cause, Diagnosis
from orchestrator.findings.lab import LabIdentity
from orchestrator.findings.outcome import Outcome
from orchestrator.findings.series import DirectCounts, Series
from orchestrator.findings.witness import TraceReading
from orchestrator.host.protocol import Host
from orchestrator.journal.fold import RunState, fold
from orchestrator.journal.line import decode, encode
from orchestrator.journal.records import HostRecord, LabRecord, Record, WitnessRecord
from orchestrator.journal.trial_record import TrialRecord
from orchestrator.plan.faults import COMMAND_LINE
from orchestrator.plan.load import build_plan
from orchestrator.testing import FACTS, FakeHost
from orchestrator.verdict.pattern import TELLING_NS
from orchestrator.verdict.run import judge_cell
from orchestrator.verdict.verdict import Verdict
from tests.support.records import heads, save_record

PLAN = build_plan({"axes": {"accel": "kvm", "method": ["hmp", "exec"]}}, COMMAND_LINE)
CELL, TWIN = [cell for record in heads(PLAN) for cell in getattr(record, "cells", ())]
IMMUNE = replace(FACTS, kvm_modules={"kvm_amd": {}})
MS = 1_000_000


def lost(
    trace: TraceReading | None, cause: Cause = Cause.LOST_INTERRUPT, cell: str = CELL.id
) -> TrialRecord:
    return TrialRecord(
        cell, "save1", Outcome.LOST, number=1, ticks_after_load=0,
        diagnoses=(Diagnosis(cause, "it was lost", trace=trace),),
    )  # fmt: skip


def counted(losses: dict[int, int]) -> DirectCounts:
    series = tuple(Series(at, 50, count, 0, 0, 1.0) for at, count in losses.items())
    return DirectCounts(series, Series(0, 5, 5, 0, 0, 1.0))


THE_BUG = counted({0: 50, 1: 50, MS: 0})
AT_ZERO_ALONE = counted({0: 50, 1: 0, MS: 0})


def after(*records: Record, loads: int = 3, trial: TrialRecord | None = None) -> RunState:
    trials = [trial] * loads if trial else []
    told = [decode(encode(each, 1)) for each in [save_record(CELL, "save1"), *trials, *records]]
    return fold([*heads(PLAN), *told])


def judged(state: RunState) -> tuple[Verdict, str]:
    result = judge_cell(state.cells[CELL.id], state)
    return result.verdict, result.why


@pytest.mark.parametrize(
    ("trial", "record", "verdict", "words"),
    [
        (
            lost(TraceReading.VANISHED),
            None,
            Verdict.AFFECTED,
            "a second witness agrees: the kernel's trace shows in 3 of 3 losses that the "
            "interrupt was accepted and vanished",
        ),
        (
            lost(TraceReading.NEVER, Cause.NOT_STARTED),
            None,
            Verdict.ANOMALOUS,
            "3 lost in 3 loads (3 timer not started)",
        ),
        (lost(None), None, Verdict.AFFECTED, "expired or never started"),
        (lost(None), None, Verdict.AFFECTED, "`losttick probe` asks one"),
        (
            lost(TraceReading.UNREADABLE),
            None,
            Verdict.AFFECTED,
            "tells which; the kernel's trace can't tell; `losttick probe` asks one)",
        ),
        (
            lost(None),
            WitnessRecord(CELL.id, THE_BUG),
            Verdict.AFFECTED,
            "a second witness agrees: the direct test (KVM_SET_LAPIC without QEMU) loses 50 of "
            "50 at TMCCT 0 ns",
        ),
        (
            lost(None),
            WitnessRecord(CELL.id, AT_ZERO_ALONE),
            Verdict.ANOMALOUS,
            "with the testimony of the APICv bug, but the direct test",
        ),
        (
            lost(TraceReading.VANISHED),
            WitnessRecord(CELL.id, AT_ZERO_ALONE),
            Verdict.ANOMALOUS,
            "lost at TMCCT 0 alone",
        ),
        (
            lost(None),
            WitnessRecord(CELL.id, failure="there is no /dev/kvm"),
            Verdict.AFFECTED,
            "the direct test was not run: there is no /dev/kvm",
        ),
    ],
)
def test_a_witness_decides(
    trial: TrialRecord, record: Record | None, verdict: Verdict, words: str
) -> None:
    got, why = judged(after(*([record] if record else []), trial=trial))
    assert got is verdict
    assert words in why
    agrees = "a second witness agrees" in why
    assert agrees is (verdict is Verdict.AFFECTED and "expired or never started" not in why)


def test_the_trace_tells_losses_of_the_bug_from_timers_that_never_started() -> None:
    never = lost(TraceReading.NEVER, Cause.NOT_STARTED)
    verdict, why = judged(after(never, never, trial=lost(TraceReading.VANISHED)))
    assert verdict is Verdict.AFFECTED
    assert why.startswith("3 of 5 loads lost the timer's interrupt")
    assert "accepted and vanished (and of 2 further loads that nothing was ever posted)" in why


@pytest.mark.parametrize(
    ("others", "verdict"),
    [
        ({Outcome.FULL_PERIOD: 40}, Verdict.ANOMALOUS),
        ({Outcome.FULL_PERIOD: 40, Outcome.IMMEDIATE: 2}, Verdict.ANOMALOUS),
        ({Outcome.FULL_PERIOD: 40, Outcome.IMMEDIATE: 4}, Verdict.AFFECTED),
        ({Outcome.FULL_PERIOD: 9}, Verdict.AFFECTED),
        ({Outcome.IMMEDIATE: 40}, Verdict.AFFECTED),
    ],
)
def test_first_ticks_after_a_whole_period_contradict(
    others: dict[Outcome, int], verdict: Verdict
) -> None:
    """A kernel that starts the period anew at each load lets no timer expire inside the call."""
    ticked = [
        TrialRecord(CELL.id, "save1", outcome, (0.1, 0.1, 2.0))
        for outcome, count in others.items()
        for _ in range(count)
    ]
    got, why = judged(after(*ticked, trial=lost(None)))
    assert got is verdict
    said = f"the first tick came a whole period after {others.get(Outcome.FULL_PERIOD)} other loads"
    assert (said in why) is (verdict is Verdict.ANOMALOUS)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (THE_BUG, "lost 50 of 50 at TMCCT 0 ns, 50 of 50 at TMCCT 1 ns on this host, as the APICv"),
        (counted({0: 20, 1: 10, MS: 0}), "lost 20 of 50 at TMCCT 0 ns, 10 of 50 at TMCCT 1 ns on"),
        (counted({0: 0, 1: 5, MS: 0}), "This kernel has the "),
        (counted({0: 0, 1: 0, MS: 0}), None),
    ],
)
def test_what_the_direct_test_lost_is_said_beside_loads_without_a_loss(
    counts: DirectCounts, words: str | None
) -> None:
    ticked = TrialRecord(CELL.id, "save1", Outcome.IMMEDIATE, (0.1, 0.1, 2.0))
    verdict, why = judged(after(WitnessRecord(CELL.id, counts), trial=ticked))
    assert verdict is Verdict.INCONCLUSIVE
    assert words in why if words else "direct test" not in why
    assert ("though no load of this cell lost its timer" in why) is ("on" in (words or "").split())


def test_on_an_immune_host_the_exposure_says_why_it_is_not_the_bug() -> None:
    state = after(
        HostRecord(IMMUNE, CELL.id), WitnessRecord(CELL.id, AT_ZERO_ALONE), trial=lost(None)
    )
    verdict, why = judged(state)
    assert verdict is Verdict.ANOMALOUS
    assert "so this is not the APICv bug" in why
    assert "with the testimony of the APICv bug" not in why


@pytest.mark.parametrize(
    ("twin_lost", "verdict", "words"),
    [
        (False, Verdict.AFFECTED, "the same modules without APICv lose none of 1 loads"),
        (True, Verdict.ANOMALOUS, "the same modules without APICv lose 1 of 1 loads as well"),
    ],
)
def test_the_same_modules_without_apicv_are_a_witness(
    *, twin_lost: bool, verdict: Verdict, words: str
) -> None:
    lab = LabIdentity("debian:6.1", "6.1.176", "revert-fix", True, "Bochs")
    twin = lost(None, cell=TWIN.id)
    if not twin_lost:
        twin = TrialRecord(TWIN.id, "save1", Outcome.IMMEDIATE, (0.1, 0.1, 2.0))
    state = after(
        LabRecord(CELL.id, lab), LabRecord(TWIN.id, replace(lab, apicv=False)),
        save_record(TWIN, "save1"), twin, trial=lost(None),
    )  # fmt: skip
    got, why = judged(state)
    assert (got, words in why) == (verdict, True)
    both = after(
        LabRecord(CELL.id, lab), LabRecord(TWIN.id, replace(lab, apicv=False)),
        save_record(TWIN, "save1"), twin, trial=lost(TraceReading.VANISHED),
    )  # fmt: skip
    vanished = "the interrupt was accepted and vanished, and the same modules without APICv"
    assert (vanished in judged(both)[1]) is not twin_lost
    against = after(
        LabRecord(CELL.id, lab), LabRecord(TWIN.id, replace(lab, apicv=False)),
        save_record(TWIN, "save1"), twin, WitnessRecord(CELL.id, AT_ZERO_ALONE), trial=lost(None),
    )  # fmt: skip
    assert (" and the same modules without APICv lose" in judged(against)[1]) is twin_lost
    other = replace(lab, apicv=False, variant="never-start")
    unlike = after(
        LabRecord(CELL.id, lab), LabRecord(TWIN.id, other), save_record(TWIN, "save1"), twin,
        trial=lost(None),
    )  # fmt: skip
    assert "`losttick lab probe` asks one" in judged(unlike)[1]


def test_few_loads_without_apicv_are_no_witness_of_rare_losses() -> None:
    lab = LabIdentity("debian:6.1", "6.1.176", "revert-fix", True, "Bochs")
    ticked = TrialRecord(CELL.id, "save1", Outcome.IMMEDIATE, (0.1, 0.1, 2.0))
    spared = replace(ticked, cell=TWIN.id)
    state = after(
        *[ticked] * 9, LabRecord(CELL.id, lab), LabRecord(TWIN.id, replace(lab, apicv=False)),
        save_record(TWIN, "save1"), *[spared] * 20, loads=1, trial=lost(None),
    )  # fmt: skip
    assert "lose none of 20 loads, which are too few to tell" in judged(state)[1]


@pytest.mark.parametrize(
    "axis",
    [
        {"state": ["armed", "pending"]}, {"mode": ["one-shot", "periodic"]},
        {"irqchip": ["on", "split"]}, {"accel": ["kvm", "tcg"]},
    ],
    ids=lambda axis: next(iter(axis)),
)  # fmt: skip
def test_an_arm_with_another_kind_of_guest_is_no_witness(axis: dict[str, list[str]]) -> None:
    plan = build_plan({"axes": {"accel": "kvm", **axis}}, COMMAND_LINE)
    armed, unlike = [cell for record in heads(plan) for cell in getattr(record, "cells", ())]
    lab = LabIdentity("debian:6.1", "6.1.176", "revert-fix", True, "Bochs")
    records: list[Record] = [
        save_record(armed, "save1"), *[lost(None, cell=armed.id)] * 3, LabRecord(armed.id, lab),
        LabRecord(unlike.id, replace(lab, apicv=False)), save_record(unlike, "save1"),
        TrialRecord(unlike.id, "save1", Outcome.IMMEDIATE, (0.1, 0.1, 2.0)),
    ]  # fmt: skip
    state = fold([*heads(plan), *(decode(encode(each, 1)) for each in records)])
    assert "`losttick lab probe` asks one" in judge_cell(state.cells[armed.id], state).why


def test_a_witness_is_asked_where_no_trace_has_told() -> None:
    def wanted(state: RunState, facts: object = FACTS) -> bool:
        return wants_witness(state.cells[CELL.id], facts)  # type: ignore[arg-type]

    assert wanted(after(trial=lost(None)))
    assert wanted(after(trial=lost(TraceReading.UNREADABLE)))
    assert not wanted(after(trial=lost(TraceReading.VANISHED)))
    assert not wanted(after(trial=lost(None)), IMMUNE)
    assert not wanted(after(WitnessRecord(CELL.id, failure="no"), trial=lost(None)))
    assert not wanted(after(trial=TrialRecord(CELL.id, "save1", Outcome.IMMEDIATE)))


def test_the_narrow_race_of_an_old_kernel_is_told_in_a_verdict_without_a_loss() -> None:
    full_period = TrialRecord(CELL.id, "save1", Outcome.FULL_PERIOD, (1.0, 1.0, 20.0))
    state = after(trial=full_period)
    assert wants_witness(state.cells[CELL.id], FACTS)
    assert "narrow race" not in judged(state)[1]
    race = counted({0: 0, 1: 50, 100: 50, MS: 0})
    told = judged(after(WitnessRecord(CELL.id, race), trial=full_period))[1]
    assert "This kernel has the narrow race: the direct test lost 50 of 50 at TMCCT 1 ns" in told


async def test_a_test_that_is_not_possible_is_noted_and_why() -> None:
    async def refuse(host: Host) -> DirectCounts:
        raise UnfitError("there is no /dev/kvm")

    async def answer(host: Host) -> DirectCounts:
        return THE_BUG

    host = FakeHost()
    assert await ask_witness(host, "cell", answer) == WitnessRecord("cell", THE_BUG)
    assert (await ask_witness(host, "cell", refuse)).failure == "there is no /dev/kvm"
    assert (await ask_witness(host, "cell", None)).failure


def test_the_short_test_has_the_counts_that_tell() -> None:
    assert set(TELLING_NS) <= set(WITNESS.tmccts_ns)
