"""A virtual host that is paused while a run goes on: its clock stands, and the TSC goes on."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.testing import FACTS, FakeQemu, FakeVcpu, immediate
from orchestrator.testing.script import Behaviour
from orchestrator.verdict.verdict import Verdict
from tests.support.fake_campaigns import campaign, only_ordinary
from tests.support.journal import why_unknown

SECOND_NS = 1_000_000_000


def jumps(at: set[int], by_ns: int = SECOND_NS) -> Behaviour:
    """Return a behaviour in which the guest's TSC jumps at the loads with these numbers."""
    loads: list[int] = []

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        loads.append(number)
        if len(loads) in at:
            vcpu.skipped_ns += by_ns

    return on_load


@pytest.mark.parametrize("source", ["kvm-clock", "hyperv_clocksource_tsc_page", "xen"])
async def test_one_jump_may_be_a_pause_of_a_virtual_host(source: str, tmp_path: Path) -> None:
    facts = replace(FACTS, clocksource=source)
    result, _ = await campaign(tmp_path, only_ordinary(jumps({2})), trials=25, facts=facts)
    (cell,) = result.cells
    assert result.verdict is Verdict.CLEAN, cell.why
    assert (cell.counts.trials, cell.counts.unknown_attempts) == (25, 1)
    why = why_unknown(result.journal)
    assert "the hypervisor below this host may have paused it" in why and source in why


@pytest.mark.parametrize(
    ("source", "behaviour"),
    [
        pytest.param("tsc", jumps({2}), id="the host's clock is the TSC itself"),
        pytest.param("kvm-clock", jumps({2, 12}), id="two loads"),
        pytest.param("kvm-clock", jumps({2}, -SECOND_NS), id="back"),
    ],
)
async def test_other_jumps_are_anomalous(source: str, behaviour: Behaviour, tmp_path: Path) -> None:
    facts = replace(FACTS, clocksource=source)
    result, _ = await campaign(tmp_path, only_ordinary(behaviour), trials=25, facts=facts)
    assert result.verdict is Verdict.ANOMALOUS
    assert result.cells[0].counts.outcomes[Outcome.CLOCK] == 1
