"""A direct test: its records folded, and the verdicts of its hosts."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.findings.lab import LabIdentity
from orchestrator.findings.series import Series
from orchestrator.findings.witness import Says
from orchestrator.journal.direct import fold_direct, read_direct_state
from orchestrator.journal.file import Journal, JournalFormatError
from orchestrator.journal.records import (
    FORMAT,
    DirectRecord,
    FailureRecord,
    HostRecord,
    InterruptedRecord,
    LabRecord,
    Record,
    RestartRecord,
    SeriesRecord,
    VerdictRecord,
)
from orchestrator.journal.trial_record import Role
from orchestrator.testing import FACTS
from orchestrator.verdict.direct import judge_direct
from orchestrator.verdict.pattern import direct_statement
from orchestrator.verdict.verdict import Verdict

EXPOSED = FACTS
IMMUNE = replace(FACTS, kvm_modules={"kvm_amd": {}})
JOURNAL = Path("journal.jsonl")
MS = 1_000_000


def series(host: str, losses: dict[int, int], control_lost: int = 5) -> list[Record]:
    return [
        *(SeriesRecord(host, Series(at, 100, lost, 0, 0, 1.0)) for at, lost in losses.items()),
        SeriesRecord(host, Series(0, 5, control_lost, 0, 0, 1.0), Role.CONTROL),
    ]


@pytest.mark.parametrize(
    ("losses", "control_lost", "facts", "verdict", "words"),
    [
        ({0: 0, 1: 0}, 5, EXPOSED, Verdict.CLEAN, "above 2.951% at each"),
        ({0: 100, 1: 98, MS: 0}, 5, EXPOSED, Verdict.AFFECTED, "none with 1 ms left, as the APICv"),
        ({0: 100, 1: 100, 1000: 7, MS: 0}, 5, EXPOSED, Verdict.AFFECTED, "100 of 100 at TMCCT 0"),
        ({0: 0, 1: 100, 1000: 99, MS: 0}, 5, EXPOSED, Verdict.AFFECTED, "has the narrow race"),
        ({0: 100, 1: 0, 1000: 0, MS: 0}, 5, EXPOSED, Verdict.ANOMALOUS, "lost at TMCCT 0 alone"),
        ({0: 3, 1: 0}, 5, EXPOSED, Verdict.ANOMALOUS, "lost at TMCCT 0 alone"),
        ({0: 100, 1: 100, MS: 100}, 5, EXPOSED, Verdict.ANOMALOUS, "1 ms left are lost as well"),
        ({0: 100, 1: 99, MS: 1}, 5, EXPOSED, Verdict.AFFECTED, "hardly any with 1 ms left"),
        ({0: 100, 1: 99, MS: 11}, 5, EXPOSED, Verdict.ANOMALOUS, "1 ms left are lost as well"),
        ({0: 0, 1: 0, MS: 1}, 5, EXPOSED, Verdict.ANOMALOUS, "1 ms left are lost as well"),
        ({0: 5, 1: 4, MS: 5}, 5, EXPOSED, Verdict.ANOMALOUS, "1 ms left are lost as well"),
        (
            {0: 25, 1: 25, MS: 0},
            5,
            EXPOSED,
            Verdict.ANOMALOUS,
            "neither shows nor refutes",
        ),
        ({0: 100}, 5, EXPOSED, Verdict.AFFECTED, "--tmcct 0, --tmcct 1, --tmcct 1000000 tell"),
        ({0: 100, 1: 100}, 5, EXPOSED, Verdict.AFFECTED, "or were never started"),
        ({0: 1}, 5, IMMUNE, Verdict.ANOMALOUS, "so this is not the APICv bug"),
        ({0: 0}, 4, EXPOSED, Verdict.INCONCLUSIVE, "only 4 of 5 timers that never fire"),
    ],
)
def test_verdicts(
    losses: dict[int, int], control_lost: int, facts: object, verdict: Verdict, words: str
) -> None:
    state = fold_direct(
        [
            DirectRecord(FORMAT, "test", ("here",), 0.95),
            HostRecord(facts, "here"),  # type: ignore[arg-type]
            *series("here", losses, control_lost),
            VerdictRecord("?", {}),
        ]
    )
    result = judge_direct(state, JOURNAL)
    assert (result.verdict, result.interrupted) == (verdict, None)
    assert words in result.hosts[0].why


@pytest.mark.parametrize("mode", ["periodic", "tsc-deadline"])
def test_losses_by_another_timer_are_not_the_known_bug(mode: str) -> None:
    state = fold_direct(
        [
            DirectRecord(FORMAT, "test", ("here",), 0.95, mode=mode),
            HostRecord(EXPOSED, "here"),
            *series("here", {0: 100, 1: 100, MS: 0}),
        ]
    )
    (host,) = judge_direct(state, JOURNAL).hosts
    assert host.verdict is Verdict.ANOMALOUS
    assert f"by the {mode} timer, which the APICv bug does not strike" in host.why


@pytest.mark.parametrize(
    ("losses", "control_lost", "says", "words"),
    [
        ({0: 50, 1: 49, MS: 0}, 5, Says.AGREES, "loses 50 of 50 at TMCCT 0 ns"),
        ({0: 50, 1: 0, MS: 0}, 5, Says.CONTRADICTS, "lost at TMCCT 0 alone"),
        ({0: 50, 1: 50, MS: 50}, 5, Says.CONTRADICTS, "with 1 ms left are lost as well"),
        ({0: 5, 1: 4, MS: 5}, 5, Says.CONTRADICTS, "with 1 ms left are lost as well"),
        ({0: 0, 1: 0, MS: 0}, 5, Says.CONTRADICTS, "loses none of 50 timers at TMCCT 0"),
        ({0: 0, 1: 50, MS: 0}, 5, Says.CONTRADICTS, "loses none of 50 timers at TMCCT 0"),
        ({0: 12, 1: 13, MS: 0}, 5, Says.UNDECIDED, "QEMU) loses 12 of 50 at TMCCT 0 ns"),
        ({0: 50, 1: 50, MS: 0}, 4, Says.UNDECIDED, "QEMU) missed 1 timers that never fire"),
    ],
)
def test_what_the_direct_test_says_of_a_loss(
    losses: dict[int, int], control_lost: int, says: Says, words: str
) -> None:
    tested = [Series(at, 50, lost, 0, 0, 1.0) for at, lost in losses.items()]
    found = direct_statement(tested, Series(0, 5, control_lost, 0, 0, 1.0), "APICv bug")
    assert found.says is says
    assert found.why.startswith("the direct test (KVM_SET_LAPIC without QEMU) ")
    assert words in found.why


def lab(variant: str, expected: str | None) -> LabIdentity:
    return LabIdentity("6.1.0-48", "6.1.176", variant, True, "Bochs", expected)


@pytest.mark.parametrize(("reverted", "verdict"), [(100, Verdict.CLEAN), (0, Verdict.INCONCLUSIVE)])
def test_a_lab_proves_nothing_unless_its_known_arms_come_out(
    reverted: int, verdict: Verdict
) -> None:
    state = fold_direct(
        [
            DirectRecord(FORMAT, "test", ("as it is", "reverted"), 0.95),
            HostRecord(EXPOSED, "reverted"),  # side by side: records of two hosts may mix
            HostRecord(EXPOSED, "as it is"),
            LabRecord("reverted", lab("revert-fix", "affected")),
            *series("as it is", {0: 0}),
            LabRecord("as it is", lab("untouched", None)),
            *series("reverted", {0: reverted}),
        ]
    )
    result = judge_direct(state, JOURNAL)
    assert [host.name for host in result.hosts] == ["as it is", "reverted"]
    assert result.verdict is verdict


def test_a_test_that_was_cut_short_is_no_answer() -> None:
    records: list[Record] = [
        DirectRecord(FORMAT, "test", ("here",), 0.95),
        HostRecord(EXPOSED, "here"),
        series("here", {0: 0})[0],
    ]
    cut = judge_direct(fold_direct([*records, InterruptedRecord("KeyboardInterrupt")]), JOURNAL)
    assert (cut.verdict, cut.interrupted) == (Verdict.INCONCLUSIVE, "a signal stopped it")
    assert cut.hosts[0].why == "the test was interrupted"
    failed = judge_direct(fold_direct([*records, FailureRecord("here", "it broke")]), JOURNAL)
    assert (failed.hosts[0].why, failed.failed) == ("it broke", True)


def test_records_of_a_run_do_not_belong_there(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.write(DirectRecord(FORMAT, "test", ("here",), 0.95))
        journal.write(RestartRecord("here", "why"))
    with pytest.raises(JournalFormatError, match=r"line 2: .*journal of a direct test"):
        read_direct_state(path)


def test_losses_of_some_timers_say_how_many_the_bug_would_lose() -> None:
    tested = [Series(count, 50, lost, 0, 0, 1.0) for count, lost in ((0, 3), (1, 2), (MS, 0))]
    said = direct_statement(tested, Series(0, 5, 5, 0, 0, 1.0), "bug")
    assert said.says is Says.UNDECIDED
    assert said.why.endswith(
        "neither shows nor refutes the bug, which loses nearly all of these: at least 45 of 50"
    )
