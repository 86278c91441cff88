"""The second witness in the lab: the kernel's trace, and the direct test."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.findings.witness import TraceReading
from tests.support.lab_command import arms, lab_run, records

pytestmark = pytest.mark.timeout(1200)

TRIALS = 3


def traces(out: Path, cell: dict[str, Any]) -> list[str]:
    """What the kernel's trace showed of each lost load, and not of controls."""
    return [
        trial["diagnoses"][0].get("trace")
        for trial in records(out, "trial")
        if trial["cell"] == cell["id"] and trial.get("role", "host") == "host"
    ]


def test_the_trace_tells_a_lost_interrupt_from_a_timer_that_was_never_started(
    tmp_path: Path,
) -> None:
    """The guest's testimony is the same: TMICT unchanged, TMCCT 0 and nothing pending."""
    out = tmp_path / "out"
    variants = ["--variant=revert-fix", "--variant=never-start", "--period=200"]
    by = arms(lab_run(out, *variants, trials=TRIALS))
    reverted, never = by["revert-fix", True], by["never-start", True]

    assert reverted["diagnoses"] == {"lost one-shot interrupt": TRIALS}
    assert traces(out, reverted) == [TraceReading.VANISHED] * TRIALS
    assert reverted["verdict"] == "affected"
    assert "a second witness agrees: the kernel's trace shows in 3 of 3 losses" in reverted["why"]

    assert never["diagnoses"] == {"timer not started": TRIALS}
    assert traces(out, never) == [TraceReading.NEVER] * TRIALS
    assert never["verdict"] == "anomalous"
    assert all(control["seen"] for cell in (reverted, never) for control in cell["controls"])
