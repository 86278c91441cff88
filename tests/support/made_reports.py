"""Reports made by hand, for tests of the outputs."""

from pathlib import Path
from typing import Any

from orchestrator.bugs.catalogue import APICV_BUG
from orchestrator.bugs.exposure import Exposure, ExposureState
from orchestrator.bugs.likeness import Likeness
from orchestrator.findings.lab import LabIdentity
from orchestrator.journal.fold import fold
from orchestrator.plan.faults import COMMAND_LINE
from orchestrator.plan.load import build_plan
from orchestrator.results.report import Case, Report
from orchestrator.stats.rate import Losses, loss_rate
from orchestrator.testing import FACTS
from orchestrator.verdict.run import judge_run
from orchestrator.verdict.verdict import Ended, Verdict, overall
from tests.support.records import heads

EXPOSED = Exposure(ExposureState.EXPOSED, "kvm_intel runs with enable_apicv=Y")

#: Text that a guest, a QEMU or a journal may hold, and that no output may take for its own.
HOSTILE = (
    "1..3\nok 1 fine\n# Subtest: none # SKIP # TODO \x1b[2J\x00\x9b\ud800\u202e]]> <script>alert(1)"
    "</script> & | `x` KTAP version 1 reboot: System halted List of all partitions: "
    "Kernel panic - not syncing: VFS:\r\nBail out!"
)

#: A name of a kernel or a QEMU, which becomes a part of the name of a case.
HOSTILE_NAME = "- kvm/#1 # SKIP/\x1b[2J\n\x00ok 2 \ud800/../é/ "


def case(name: str, verdict: Verdict, lost: int = 0, trials: int = 20, **fields: Any) -> Case:
    """Return a case with a verdict."""
    counted = verdict is not Verdict.SKIPPED
    bug = (Likeness(APICV_BUG, lost, EXPOSED),) if verdict is Verdict.AFFECTED else ()
    made: dict[str, Any] = {
        "name": name,
        "ended": Ended(verdict),
        "accepted": False,
        "why": f"the reason for {verdict}",
        "meaning": f"The meaning of {verdict}.",
        "exposure": EXPOSED,
        "trials": trials if counted else 0,
        "lost": lost,
        "outcomes": {"lost": lost, "immediate": trials - lost} if counted else {},
        "causes": {"lost one-shot interrupt": lost} if lost else {},
        "rate": loss_rate(Losses(trials, lost), 0.95) if counted else loss_rate(Losses(0, 0), 0.95),
        "known_bugs": bug,
        "facts": FACTS if counted else None,
        "began_at": "2026-11-26T01:02:03.004Z",
        "ended_at": "2026-11-26T01:02:05.500Z",
    }
    return Case(**(made | fields))


def report(*cases: Case, **fields: Any) -> Report:
    """Return the report of a run with these cases."""
    plan = build_plan({"seed": 1}, COMMAND_LINE)
    made: dict[str, Any] = {
        "folder": Path("nightly"),
        "command": "run",
        "verdict": overall([each.verdict for each in cases]),
        "meaning": "The meaning of the run.",
        "cases": cases,
        "result": judge_run(fold(heads(plan)), Path("nightly/journal.jsonl")),
        "facts": FACTS,
        "seed": 1,
        "identity": "0" * 64,
    }
    return Report(**(made | fields))


def arm(expected: Verdict | None = None, **fields: Any) -> LabIdentity:
    """Return the identity of a lab's host."""
    made: dict[str, Any] = {
        "kernel": "debian:bookworm",
        "version": "6.1.176-1",
        "variant": "untouched",
        "apicv": True,
        "emulator": "Bochs 3.0",
        "expected": expected,
    }
    return LabIdentity(**(made | fields))


def every_kind() -> Report:
    """Return a report with a case of every kind."""
    return report(
        case("kvm/clean", Verdict.CLEAN),
        case("kvm/affected", Verdict.AFFECTED, 20, evidence=("evidence/0003-host-lost",)),
        case("kvm/anomalous", Verdict.ANOMALOUS, 3),
        case("kvm/inconclusive", Verdict.INCONCLUSIVE),
        case("kvm/failed", Verdict.INCONCLUSIVE, ended=Ended(Verdict.INCONCLUSIVE, failed=True)),
        case("kvm/skipped", Verdict.SKIPPED),
    )
