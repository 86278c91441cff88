"""What became of a case: by its verdict, and in a lab by the answer that is known."""

import pytest

from orchestrator.results.status import Status, status
from orchestrator.verdict.verdict import Ended, Verdict


@pytest.mark.parametrize(
    ("verdict", "failed", "expected", "became"),
    [
        (Verdict.CLEAN, False, None, Status.PASSED),
        (Verdict.AFFECTED, False, None, Status.KNOWN_BUG),
        (Verdict.ANOMALOUS, False, None, Status.FAULT),
        (Verdict.INCONCLUSIVE, False, None, Status.ERROR),
        (Verdict.INCONCLUSIVE, True, None, Status.HARNESS),
        (Verdict.SKIPPED, False, None, Status.SKIPPED),
        # A finding outweighs a failure of the harness, as it does in the exit code.
        (Verdict.AFFECTED, True, None, Status.KNOWN_BUG),
        # An arm of a lab that gives its known answer is no finding.
        (Verdict.AFFECTED, False, Verdict.AFFECTED, Status.PASSED),
        (Verdict.CLEAN, False, Verdict.CLEAN, Status.PASSED),
        (Verdict.CLEAN, False, Verdict.AFFECTED, Status.ERROR),
        (Verdict.AFFECTED, False, Verdict.CLEAN, Status.ERROR),
        (Verdict.ANOMALOUS, False, Verdict.CLEAN, Status.ERROR),
        (Verdict.SKIPPED, False, Verdict.AFFECTED, Status.SKIPPED),
        (Verdict.INCONCLUSIVE, True, Verdict.AFFECTED, Status.HARNESS),
    ],
)
def test_status(verdict: Verdict, failed: bool, expected: Verdict | None, became: Status) -> None:
    assert status(Ended(verdict, failed), expected) is became
