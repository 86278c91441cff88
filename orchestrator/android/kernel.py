"""Tests this host's kernel with the tick guest, by the plan `android`, in a few minutes."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from orchestrator.campaign.events import Progress
from orchestrator.campaign.run import run_plan
from orchestrator.direct.witness import ask_this_host
from orchestrator.host.cpus import vcpus_at_a_time
from orchestrator.host.kvm_access import check_device
from orchestrator.host.local import LocalHost
from orchestrator.host.qemus import LocalQemus
from orchestrator.plan.cost import expected_s
from orchestrator.plan.load import load_plan
from orchestrator.plan.plan import Plan
from orchestrator.results.report import Report, read_report
from orchestrator.vm.config import Accel

#: Loss rates that a test may rule out, the smallest first. The bug loses nearly every tick.
_RATES = (0.005, 0.01, 0.02, 0.05, 0.1)

#: Diagnosed losses after which a cell stops. Each costs a second or two.
_LOSSES = 3

#: How much longer than planned a test may take, as a factor.
_SLACK = 1.5

#: Share of a further CPU by which a further vCPU shortens a test.
_GAIN = 0.7


@dataclass(frozen=True, slots=True)
class Sized:
    """The plan `android` with goals that fit into some time."""

    plan: Plan
    expected_s: float
    """About how long it takes on an idle host that loses nothing."""
    most_s: float
    """How long it may take at most."""


def sized(within_s: float, parallel: int) -> Sized:
    """Return the plan `android` that rules out the smallest loss rate in some time.

    Args:
        within_s: the time; the largest loss rate is chosen where even that takes longer.
        parallel: vCPUs that run at a time.
    """
    speed = 1 + _GAIN * (parallel - 1)
    for rate in _RATES:
        plan = load_plan("android", {"limits": {"rule_out": rate, "stop_after": _LOSSES}})
        took = sum(expected_s(cell, plan) for cell in plan.cells(Accel.KVM)) / speed
        if took <= within_s:
            break
    return Sized(plan, took, _SLACK * within_s)


async def kernels_host(qemus: LocalQemus) -> LocalHost:
    """Return this host as the plan needs it. To ask takes a moment, so ask first.

    Raises:
        KvmMissingError: there is no KVM here, or it can't be used.
        QemuUserError: QEMU can't run as the user who was named.
        LosttickError: QEMU is not there, or does not start.
    """
    host = await qemus.first()
    check_device(host.facts)
    return host


async def run_kernel(
    qemus: LocalQemus, plan: Plan, out: Path, progress: Progress, most_s: float
) -> Report:
    """Run the plan on this host; return what it found, or has found when the time is over.

    Args:
        qemus: of the plan.
        plan: the plan.
        out: an existing, empty folder.
        progress: hears of each step.
        most_s: how long it may take. A busy host pauses a run for minutes.

    Raises:
        LosttickError: the plan could not be run; see `kernels_host`, too.
    """
    host = await kernels_host(qemus)
    running = asyncio.create_task(
        run_plan(
            host, plan, Accel.KVM, out, progress,
            qemus=qemus.opener, parallel=vcpus_at_a_time(), ask=ask_this_host,
        )
    )  # fmt: skip
    try:
        if not (await asyncio.wait({running}, timeout=most_s))[0]:
            progress.noted(f"The kernel's test has had its {most_s:.0f} s: it ends here.")
    finally:
        running.cancel()
        await asyncio.wait({running})
    if not running.cancelled():
        running.result()
    return read_report(out)
