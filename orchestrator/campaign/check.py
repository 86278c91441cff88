"""A verdict on a host in one call."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from orchestrator.campaign.accelerator import auto_accel
from orchestrator.campaign.events import NO_PROGRESS, Progress
from orchestrator.campaign.run import run_plan
from orchestrator.host.protocol import Host
from orchestrator.journal.out_folder import OutFolder
from orchestrator.plan.load import build_plan, merge
from orchestrator.process.folder import own_folder, temporary_folder
from orchestrator.verdict.run import RunResult
from orchestrator.vm.config import Accel


async def check(
    host: Host,
    *,
    trials: int | None = None,
    rule_out: float | None = None,
    confidence: float | None = None,
    seed: int | None = None,
    accel: Accel | None = None,
    axes: Mapping[str, object] | None = None,
    out: Path | None = None,
    progress: Progress = NO_PROGRESS,
) -> RunResult:
    """Load snapshots while a guest ticks, and return whether the host loses ticks.

    Args:
        host: the host to check, such as `open_host` gives one.
        trials: loads in each cell; by default as many as `rule_out` needs.
        rule_out: the loss rate that the verdict `clean` must rule out; 0.01 by default.
        confidence: confidence of the verdict; 0.95 by default.
        seed: seed of the phases and of the order of cells; drawn by default.
        accel: what runs the guest; by default KVM if the host has it, else TCG.
        axes: further settings, as the `[axes]` table of a plan has them, such as
            `{"method": "jobs", "period_ms": [5, 20]}`. Every combination is a cell.
        out: an empty folder for the journal and the evidence; it is made if it is not there.
            By default both are removed once the verdict is known.
        progress: hears of each step.

    Raises:
        PlanError: a setting is not valid.
        KvmMissingError: the host has KVM, but this user has no access to it.
        JournalError: nothing can be recorded.
        OutFolderError: another user can write to `out`.
    """
    plan = build_plan(
        merge(
            {"axes": dict(axes or {})},
            {
                "seed": seed,
                "axes": {"accel": accel},
                "limits": {"trials": trials, "rule_out": rule_out, "confidence": confidence},
            },
        ),
        "check()",
    )
    auto = accel or Accel.KVM
    if plan.leaves_accel_open:
        auto = auto_accel(host.facts)
    with _folder(out) as folder:
        return await run_plan(host, plan, auto, folder, progress)


@contextlib.contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """Give the folder for the results: the wanted one, or a temporary one."""
    if out is not None:
        with OutFolder(out, make=True):
            yield out
    else:
        with own_folder(temporary_folder()) as folder:
            yield folder
