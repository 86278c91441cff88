"""A guest's TSC after a load: restored to the save, gone on with the host, or jumped."""

from pathlib import Path

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.testing import FakeQemu, FakeVcpu, Script, immediate
from orchestrator.verdict.verdict import Verdict
from tests.support.fake_campaigns import campaign, only_ordinary


def jumps(seconds: float, which: int = 0) -> Script:
    """Return a script of loads that restore every TSC to the save, and add to one of them."""

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        if vcpu.vcpu == which:
            vcpu.skipped_ns += int(seconds * 1e9)

    return only_ordinary(on_load)


@pytest.mark.parametrize(
    ("seconds", "vcpus", "which"), [(5, 1, 0), (-0.1, 1, 0), (0.5, 1, 0), (10, 2, 1), (-0.1, 2, 0)]
)
async def test_a_tsc_that_jumps_is_named(
    tmp_path: Path, seconds: float, vcpus: int, which: int
) -> None:
    result, _ = await campaign(tmp_path, jumps(seconds, which), vcpus=vcpus)
    (cell,) = result.cells
    assert result.verdict is Verdict.ANOMALOUS, cell.why
    assert cell.counts.outcomes == {Outcome.CLOCK: 5}


async def test_a_tsc_that_is_restored_to_the_save_is_right(tmp_path: Path) -> None:
    result, _ = await campaign(tmp_path, jumps(0), vcpus=2)
    assert result.verdict is Verdict.CLEAN, result.cells[0].why


async def test_a_tsc_that_goes_on_with_the_host_is_right(tmp_path: Path) -> None:
    saved_ns: list[int] = []

    def on_save(qemu: FakeQemu) -> None:
        saved_ns.append(qemu.clock.now_ns())

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        vcpu.skipped_ns += qemu.clock.now_ns() - saved_ns[-1]

    result, _ = await campaign(tmp_path, Script(on_load, {"savevm": on_save}))
    assert result.verdict is Verdict.CLEAN, result.cells[0].why
