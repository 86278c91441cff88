"""What a run says of a candidate: never a loss that was not diagnosed, never a host's trouble."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.bisect import tester as tester_seam
from orchestrator.bisect.judge import SkippedCandidateError, judged
from orchestrator.bisect.tester import Stage, Untestable
from orchestrator.errors import TransientError
from orchestrator.results.result import read_result
from orchestrator.verdict.run import RunResult
from orchestrator.verdict.verdict import Verdict
from tests.support.made_runs import LOST, TICK, Load, make_run, other

EXPOSED = other(vendor="GenuineIntel", kvm_modules={"kvm_intel": {"enable_apicv": "Y"}},
                hypervisor=False)  # fmt: skip
SPARED = other(vendor="AuthenticAMD", kvm_modules={"kvm_amd": {}}, hypervisor=False)


def result(place: Path, loads: list[Load], **made: object) -> RunResult:
    given = {"facts": EXPOSED, "trials": 10, "rule_out": 0.3, "stop_after": 1, **made}
    return read_result(make_run(place / "run", loads, **given))  # type: ignore[arg-type]  # each is its own


def told(run: RunResult) -> tester_seam.Tested | Untestable:
    return judged(run, 7.0, Path("run"), "digest")


def test_ordinary_ticks_and_a_loss(tmp_path: Path) -> None:
    assert told(result(tmp_path / "a", [TICK] * 10)) == tester_seam.Tested(
        10, 0, 7.0, "run", "digest"
    )
    lost = told(result(tmp_path / "b", [TICK, TICK, LOST]))
    assert lost == tester_seam.Tested(3, 1, 7.0, "run", "digest")
    often = told(result(tmp_path / "c", [TICK, LOST, TICK, LOST], stop_after=2))
    assert often == tester_seam.Tested(4, 2, 7.0, "run", "digest")


@pytest.mark.parametrize(
    ("loads", "made", "why"),
    [
        ([TICK] * 10, {"unseen": 1}, "Inconclusive: "),
        ([TICK] * 10, {"facts": SPARED}, "A loss could not have shown"),
        ([TICK] * 3, {"ends": False}, "Inconclusive: "),
    ],
)
def test_what_could_not_have_shown_a_loss_counts_for_nothing(
    loads: list[Load], made: dict[str, object], why: str, tmp_path: Path
) -> None:
    found = told(result(tmp_path, loads, **made))
    assert isinstance(found, Untestable)
    assert (found.stage, found.why.startswith(why)) == (Stage.TEST, True)
    assert found.why.endswith("The run: run")


def failed(run: RunResult, failure: str, verdict: Verdict, *, booted: bool = True) -> RunResult:
    """Return a run whose cell came to another end."""
    (cell,) = run.cells
    facts = cell.counts.facts if booted else None
    cell.counts.failure, cell.counts.facts = failure, facts
    return replace(run, verdict=verdict, cells=[replace(cell, verdict=verdict, why=failure)])


def test_a_candidate_that_does_not_boot_and_one_with_an_anomaly(tmp_path: Path) -> None:
    run = result(tmp_path, [TICK] * 10)
    found = told(failed(run, "ticks came early", Verdict.ANOMALOUS))
    assert found == Untestable("Anomalous: ticks came early. The run: run", 7.0, Stage.TEST)
    found = told(failed(run, "Kernel panic", Verdict.INCONCLUSIVE, booted=False))
    assert found == Untestable("Inconclusive: Kernel panic. The run: run", 7.0, Stage.BOOT)


def test_trouble_of_the_host_stops_the_bisection(tmp_path: Path) -> None:
    run = result(tmp_path, [TICK] * 10)
    with pytest.raises(TransientError, match="No space left"):
        told(failed(run, "writing x: No space left on device", Verdict.INCONCLUSIVE))
    with pytest.raises(SkippedCandidateError, match="no QEMU"):
        told(failed(run, "no QEMU", Verdict.SKIPPED))
