"""What the known arms of a lab run make of its verdict."""

import pytest

from orchestrator.findings.lab import LabIdentity
from orchestrator.verdict.arm import lab_ends, lab_verdict, surprises
from orchestrator.verdict.verdict import Ended, Verdict

AFFECTED, ANOMALOUS, CLEAN = Verdict.AFFECTED, Verdict.ANOMALOUS, Verdict.CLEAN
INCONCLUSIVE, SKIPPED = Verdict.INCONCLUSIVE, Verdict.SKIPPED


def arm(
    variant: str, got: Verdict, expected: Verdict | None, *, apicv: bool = True
) -> tuple[LabIdentity, Verdict]:
    return LabIdentity("6.1.0-48-amd64", "6.1.176", variant, apicv, "Bochs", expected), got


def untouched(got: Verdict) -> tuple[LabIdentity, Verdict]:
    return arm("untouched", got, None)


def reverted(got: Verdict) -> tuple[LabIdentity, Verdict]:
    """The fix is taken out: the arm must be affected."""
    return arm("revert-fix", got, AFFECTED)


def without_apicv(got: Verdict) -> tuple[LabIdentity, Verdict]:
    """The fix is taken out, but APICv is off: the arm must be clean."""
    return arm("revert-fix", got, CLEAN, apicv=False)


@pytest.mark.parametrize("got", list(Verdict))
def test_only_an_arm_with_a_known_answer_can_surprise(got: Verdict) -> None:
    assert not surprises(*untouched(got))
    assert surprises(*reverted(got)) is (got is not AFFECTED)
    assert surprises(*without_apicv(got)) is (got is not CLEAN)


@pytest.mark.parametrize(
    ("arms", "verdict"),
    [
        # The known arms came out as they must: the untouched kernel's verdict is the run's.
        ([untouched(CLEAN), reverted(AFFECTED), without_apicv(CLEAN)], CLEAN),
        ([untouched(AFFECTED), reverted(AFFECTED), without_apicv(CLEAN)], AFFECTED),
        ([untouched(ANOMALOUS), reverted(AFFECTED)], ANOMALOUS),
        ([untouched(INCONCLUSIVE), reverted(AFFECTED)], INCONCLUSIVE),
        # Who did not see the bug where it is may have missed it elsewhere.
        ([untouched(CLEAN), reverted(CLEAN)], INCONCLUSIVE),
        ([untouched(CLEAN), reverted(ANOMALOUS)], INCONCLUSIVE),
        ([untouched(CLEAN), reverted(SKIPPED)], INCONCLUSIVE),
        ([untouched(CLEAN), reverted(AFFECTED), without_apicv(AFFECTED)], INCONCLUSIVE),
        ([untouched(CLEAN), reverted(AFFECTED), without_apicv(INCONCLUSIVE)], INCONCLUSIVE),
        # A loss that was seen stands, whatever the known arms did.
        ([untouched(AFFECTED), reverted(CLEAN)], AFFECTED),
        ([untouched(ANOMALOUS), reverted(SKIPPED)], ANOMALOUS),
        # Several untouched kernels: the gravest verdict; that of the others is not asked for.
        ([untouched(CLEAN), untouched(AFFECTED), reverted(AFFECTED)], AFFECTED),
        ([untouched(SKIPPED), untouched(CLEAN), reverted(AFFECTED)], SKIPPED),
        ([untouched(SKIPPED), reverted(AFFECTED)], SKIPPED),
        # Without an untouched kernel, all of them are asked.
        ([reverted(AFFECTED)], AFFECTED),
        ([reverted(AFFECTED), without_apicv(CLEAN)], AFFECTED),
        ([without_apicv(CLEAN)], CLEAN),
        ([reverted(CLEAN)], CLEAN),
        ([], SKIPPED),
    ],
)
def test_the_verdict_of_a_lab_run(
    arms: list[tuple[LabIdentity, Verdict]], verdict: Verdict
) -> None:
    assert lab_verdict(arms) is verdict
    assert lab_verdict(arms[::-1]) is verdict


@pytest.mark.parametrize(
    ("arms", "ends"),
    [
        # What a known arm shows is no finding.
        ([untouched(CLEAN), reverted(AFFECTED)], {Ended(CLEAN)}),
        (
            [untouched(CLEAN), untouched(SKIPPED), reverted(AFFECTED)],
            {Ended(SKIPPED), Ended(CLEAN)},
        ),
        (
            [untouched(CLEAN), reverted(SKIPPED)],
            {Ended(INCONCLUSIVE), Ended(CLEAN), Ended(SKIPPED)},
        ),
        ([reverted(AFFECTED)], {Ended(AFFECTED)}),
    ],
)
def test_what_decides_the_exit_code_of_a_lab_run(
    arms: list[tuple[LabIdentity, Verdict]], ends: set[Ended]
) -> None:
    assert set(lab_ends([(lab, Ended(got)) for lab, got in arms])) == ends


def test_an_arm_that_failed_decides_the_exit_code_of_a_lab_run() -> None:
    arms = [untouched(CLEAN), reverted(AFFECTED), without_apicv(INCONCLUSIVE)]
    failed = [(lab, Ended(got, failed=got is INCONCLUSIVE)) for lab, got in arms]
    assert Ended(INCONCLUSIVE, failed=True) in lab_ends(failed)
