"""`losttick android` in front of a lab: the emulator's guest really freezes by the bug.

The stand-in for the emulator runs outside, and its QEMU inside of the lab.
"""

from pathlib import Path

import pytest

from orchestrator.android.conclusion import Answer, Emulator, Kernel, conclude, of_emulator
from orchestrator.android.console import Times
from orchestrator.android.findings import Findings, Guest, Likeness
from orchestrator.android.session import Aims, examine_running
from orchestrator.android.words import sections
from orchestrator.campaign.run import run_plan
from orchestrator.errors import UnfitError
from orchestrator.host.facts import HostFacts
from orchestrator.lab.arms import Arm
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.host.host import LabHost
from orchestrator.lab.host.qemu import packaged_qemu
from orchestrator.lab.kernel.names import kernel
from orchestrator.lab.kernel.variants import Variant
from orchestrator.lab.labs import LabParts, Labs
from orchestrator.plan.load import build_plan
from orchestrator.results.explanation.text import as_text
from orchestrator.results.report import Report, read_report
from orchestrator.testing import FACTS
from orchestrator.vm.config import Accel
from tests.support.android.elsewhere import stand_in_on
from tests.support.android.emulator import MACHINE, Behaviour
from tests.support.needs import Need, lacking

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(2400)]

#: The lab takes some seconds for a second of its own.
AIMS = Aims(loads=2, alive_s=60)

TIMES = Times(command_s=60, state_s=300)


async def seen_of(host: LabHost, place: Path, patch: pytest.MonkeyPatch) -> Findings:
    def facts(*args: object) -> HostFacts:
        return host.facts

    patch.setattr("orchestrator.android.judge.read_facts", facts)
    async with stand_in_on(host, Behaviour(period_ms=100), place) as running:
        return await examine_running(running, None, AIMS, TIMES, print)


async def kernel_tested(host: LabHost, out: Path) -> Report:
    """Test the lab's kernel as `losttick run` does, by a few loads with the emulator's settings."""
    axes = {
        "machine": MACHINE, "cpu": "qemu64,-tsc-deadline", "method": "hmp", "period_ms": 200,
        "accel": Accel.KVM,
    }  # fmt: skip
    limits = {"trials": 4, "rule_out": 0.6}
    plan = build_plan({"axes": axes, "limits": limits, "controls": 2, "seed": 1}, "lab")
    out.mkdir()
    await run_plan(host, plan, Accel.KVM, out)
    return read_report(out)


async def test_a_guest_that_the_bug_freezes_and_one_that_the_fix_saves(
    emulator: Bochs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        base, packaged = kernel("debian:bookworm"), await packaged_qemu()
    except UnfitError as error:
        lacking(Need.LAB, str(error))
    arms = [Arm(base, Variant.UNTOUCHED), Arm(base, Variant.REVERT_FIX)]
    place = tmp_path / "emulator"
    place.mkdir()
    found, reports = {}, {}
    labs = Labs(LabParts(emulator, packaged), arms, FACTS, None, parallel=1, say=print)
    async with labs:
        for arm in arms:
            async with labs.host(arm) as host:
                found[arm.variant] = await seen_of(host, place, monkeypatch)
                (place / "qmp").unlink(missing_ok=True)
                reports[arm.variant] = await kernel_tested(host, tmp_path / arm.variant)

    fixed, reverted = found[Variant.UNTOUCHED], found[Variant.REVERT_FIX]
    assert [load.guest for load in fixed.loads] == [Guest.RAN] * 3
    assert of_emulator(fixed) is Emulator.RAN
    assert [load.guest for load in reverted.loads] == [Guest.RAN, Guest.FROZE]
    assert reverted.freeze is not None
    print(reverted.freeze.why)
    assert reverted.freeze.likeness is Likeness.BY_BUG
    assert fixed.timers == reverted.timers == ("one-shot",)
    assert fixed.trouble == reverted.trouble == ""

    spared = conclude(fixed, reports[Variant.UNTOUCHED])
    assert (spared.answer, spared.kernel) == (Answer.NOT_SEEN, Kernel.LACKS_BUG)
    report = reports[Variant.REVERT_FIX]
    struck = conclude(reverted, report)
    assert (struck.answer, struck.kernel) == (Answer.YES, Kernel.HAS_BUG)
    said = as_text(sections(struck, reverted, report, "phone"))
    print(said)
    assert "This is the kernel bug" in " ".join(said.split())
    assert "modprobe kvm_intel enable_apicv=0" in said
