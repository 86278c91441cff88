"""A guest's TSC after a load: restored to the save, gone on with the host, or jumped."""

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.host.tracefs import HEADER, MARK_LOAD
from orchestrator.results.summary import summary
from orchestrator.testing import FACTS, FakeQemu, FakeVcpu, Script, immediate
from orchestrator.verdict.verdict import Verdict
from tests.support.fake_campaigns import campaign, only_ordinary
from tests.support.journal import journal_dicts


def jumps(seconds: float, which: int = 0) -> Script:
    """Return a script of loads that restore every TSC to the save, and add to one of them."""

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        if vcpu.vcpu == which:
            vcpu.skipped_ns += int(seconds * 1e9)

    return only_ordinary(on_load)


def goes_on(add: Callable[[FakeQemu, FakeVcpu, int], None]) -> Script:
    """Return a script in which `add` gets the time since the save, in ns, after each load."""
    saved_ns: list[int] = []

    def on_save(qemu: FakeQemu) -> None:
        saved_ns.append(qemu.clock.now_ns())

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        add(qemu, vcpu, qemu.clock.now_ns() - saved_ns[-1])

    return Script(on_load, {"savevm": on_save})


def tsc_goes_on(qemu: FakeQemu, vcpu: FakeVcpu, passed_ns: int) -> None:
    vcpu.skipped_ns += passed_ns


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
    result, _ = await campaign(tmp_path, goes_on(tsc_goes_on))
    assert result.verdict is Verdict.CLEAN, result.cells[0].why


class Trace:
    """A kernel's trace, which says that each load moved the TSC's offset by so many cycles."""

    def __init__(self, moved: int) -> None:
        self._text = (
            f"{HEADER} kvm/kvm_write_tsc_offset\n"
            f"qemu-1 [000] ..... 1.000000: tracing_mark_write: {MARK_LOAD}\n"
            f"qemu-1 [000] d..1. 1.000001: kvm_write_tsc_offset: vcpu=0 prev={TSC_OFFSET} "
            f"next={TSC_OFFSET + moved}\n"
        )

    def mark(self, text: str) -> None:
        """Keep nothing: the text is fixed."""

    def watch(self, thread_ids: Collection[int]) -> None:
        """Watch nothing."""

    async def read(self) -> str:
        return self._text

    def close(self) -> None:
        """Close nothing."""


TSC_OFFSET = 1 << 60


@pytest.mark.parametrize(
    ("moved", "restores", "why"),
    [
        (-(1 << 40), True, ""),
        (0, False, ""),
        (0, True, "the kernel kept the offset of the guest's TSC at the load"),
        (-(1 << 40), False, "ms at the load, and the TSC went on as before"),
    ],
)
async def test_the_kernels_trace_says_which_of_both_answers_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int, restores: bool, why: str
) -> None:
    """It is read at the last load of each save, which follows more ticks."""
    monkeypatch.setattr(FakeQemu, "tracer", Trace(moved))
    script = Script(immediate) if restores else goes_on(tsc_goes_on)
    result, _ = await campaign(tmp_path, script, 6, loads_per_save=2)
    (cell,) = result.cells
    if not why:
        assert result.verdict is Verdict.CLEAN, cell.why
        return
    assert result.verdict is Verdict.ANOMALOUS, cell.why
    assert cell.counts.outcomes == {Outcome.CLOCK: 3, Outcome.IMMEDIATE: 3}
    trials = [each for each in journal_dicts(result.journal) if each["record"] == "trial"]
    assert sum(why in each.get("why", "") for each in trials) == 3


#: TSC and kvmclock of which vCPU are shifted, by how many seconds.
SHIFTS = [
    pytest.param(0.001, 0.001, 2, 0, id="the TSC of the first vCPU is ahead"),
    pytest.param(0.001, 0.001, 2, 1, id="the TSC of the second vCPU is ahead"),
    pytest.param(-0.0001, -0.0001, 3, 1, id="the TSC of one of three vCPUs is behind"),
    pytest.param(0, 0.001, 2, 1, id="the kvmclock of the second vCPU is ahead"),
    pytest.param(0, -0.001, 2, 0, id="the kvmclock of the first vCPU is behind"),
    pytest.param(0, 5, 1, 0, id="kvmclock jumps ahead"),
    pytest.param(0, -0.1, 1, 0, id="kvmclock goes back"),
]


@pytest.mark.parametrize(("tsc_s", "kvmclock_s", "vcpus", "which"), SHIFTS)
async def test_a_clock_that_is_off_the_other_ones_is_named(
    tmp_path: Path, tsc_s: float, kvmclock_s: float, vcpus: int, which: int
) -> None:
    """Where a TSC is shifted, its kvmclock is too: by it the kvmclocks agree."""

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        if vcpu.vcpu == which:
            vcpu.skipped_ns += round(tsc_s * 1e9)
            vcpu.kvmclock_ahead_ns += round(kvmclock_s * 1e9)

    result, _ = await campaign(tmp_path, only_ordinary(on_load), vcpus=vcpus)
    (cell,) = result.cells
    assert result.verdict is Verdict.ANOMALOUS, cell.why
    assert cell.counts.outcomes == {Outcome.CLOCK: 5}


@pytest.mark.parametrize(
    ("clocksource", "verdict"),
    [("tsc", Verdict.ANOMALOUS), ("hpet", Verdict.CLEAN), ("kvm-clock", Verdict.CLEAN)],
)
async def test_tscs_that_move_apart_on_a_host_that_does_not_rely_on_them(
    tmp_path: Path, clocksource: str, verdict: Verdict
) -> None:
    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        if vcpu.vcpu == 0:
            vcpu.skipped_ns += 1_000_000
            vcpu.kvmclock_ahead_ns += 1_000_000

    facts = replace(FACTS, clocksource=clocksource)
    result, _ = await campaign(tmp_path, only_ordinary(on_load), vcpus=2, facts=facts)
    assert result.verdict is verdict, result.cells[0].why


@pytest.mark.parametrize("which", [0, 1])
async def test_the_tsc_of_one_vcpu_is_restored_and_that_of_the_other_goes_on(
    tmp_path: Path, which: int
) -> None:
    """The rule needs no synchronised TSCs. With them, another rule can find it first."""

    def add(qemu: FakeQemu, vcpu: FakeVcpu, passed_ns: int) -> None:
        if vcpu.vcpu == which and not qemu.config.control_tick:
            vcpu.skipped_ns += passed_ns

    result, _ = await campaign(
        tmp_path, goes_on(add), vcpus=2, pause_before_load="4 s",
        facts=replace(FACTS, clocksource="hpet"),
    )  # fmt: skip
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.CLOCK: 5}, cell.why
    trials = [each for each in journal_dicts(result.journal) if each["record"] == "trial"]
    said = f"and let the TSC of vCPU {which} go on"
    assert sum(said in each.get("why", "") for each in trials) == 5


async def test_a_kvmclock_that_is_restored_is_right_beside_tscs_that_go_on(
    tmp_path: Path,
) -> None:
    """As it is with QEMU on a KVM that keeps its guests' TSCs."""
    result, _ = await campaign(tmp_path, goes_on(tsc_goes_on), vcpus=2)
    assert result.verdict is Verdict.CLEAN, result.cells[0].why


async def test_a_kvmclock_that_goes_on_with_the_host_is_right(tmp_path: Path) -> None:
    def add(qemu: FakeQemu, vcpu: FakeVcpu, passed_ns: int) -> None:
        vcpu.kvmclock_ahead_ns += passed_ns

    result, _ = await campaign(tmp_path, goes_on(add))
    assert result.verdict is Verdict.CLEAN, result.cells[0].why


async def test_a_vcpu_that_waits_for_a_cpu_as_it_is_stopped_has_a_later_tsc_in_the_save(
    tmp_path: Path,
) -> None:
    """Its own counters do not say so: the turn in which it waited has not ended."""
    wait_ns = 300_000_000

    async def waits(qemu: FakeQemu) -> None:
        qemu.vcpus[0].waits_ns = wait_ns + 1000
        await qemu.clock.sleep(wait_ns)
        qemu.advance()

    script = Script(immediate, {"stop": waits})
    result, _ = await campaign(tmp_path, script, period_ms=1000)
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.IMMEDIATE: 5}
    assert result.verdict is Verdict.CLEAN, cell.why


@pytest.mark.parametrize("offered", [True, False])
async def test_whether_kvmclock_was_judged_is_said(tmp_path: Path, offered: bool) -> None:
    def offer(qemu: FakeQemu) -> None:
        for vcpu in qemu.vcpus:
            vcpu.has_kvmclock = offered

    result, _ = await campaign(tmp_path, Script(immediate, {"query-cpus-fast": offer}))
    (cell,) = summary(result)["cells"]
    assert cell["saves"] == 1
    assert cell["kvmclock_saves"] == offered
