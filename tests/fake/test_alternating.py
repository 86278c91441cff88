"""Arms that alternate on one host: in short blocks, evenly, and so again after a cut."""

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.campaign.alternate import alternating, run_arms
from orchestrator.campaign.resume import read_run
from orchestrator.campaign.run import run_plan
from orchestrator.findings.outcome import Outcome
from orchestrator.plan.load import build_plan
from orchestrator.plan.plan import Plan
from orchestrator.results.result import read_result
from orchestrator.testing import FakeHost, Script, immediate, lost, only_in_trials
from orchestrator.testing.qemu import FakeQemu
from orchestrator.testing.script import Behaviour
from orchestrator.testing.vcpu import FakeVcpu
from orchestrator.verdict.run import RunResult
from orchestrator.vm.config import Accel
from tests.support.heard import Heard

#: Loads that are planned for each arm; a twelfth of them is a block.
TRIALS = 24

#: A save has so many loads, and ends a block that is due.
LOADS = 2


def plan_of(arm: str, seed: int = 1, **axes: object) -> Plan:
    return build_plan(
        {"seed": seed, "axes": {"accel": "kvm", "qemu": arm, "period_ms": 100,
                                "loads_per_save": LOADS} | axes,
         "limits": {"trials": TRIALS, "rule_out": 0.5}}, "test",
    )  # fmt: skip


def sometimes(every: int) -> Behaviour:
    """Lose the tick of one load in so many."""
    count = itertools.count(1)

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        (immediate if next(count) % every else lost)(qemu, vcpu, number)

    return only_in_trials(on_load)


class CutShortError(Exception):
    """Ends a run as no fault of a cell does."""


class Order(Heard):
    """Hears the arms' loads in their common order."""

    def __init__(self, arm: str, order: list[str], stops: "Stops | None" = None) -> None:
        super().__init__()
        self.arm, self.order, self.stops = arm, order, stops

    def attempt_ends(self, *about: object) -> None:
        self.order.append(self.arm)
        if self.stops and len(self.order) == self.stops.at:
            self.stops.stop()


@dataclass
class Stops:
    """Ends the arms after so many loads."""

    at: int
    stop: Callable[[], None]


def fail() -> None:
    raise CutShortError


async def run(
    out: Path, hosts: Mapping[str, FakeHost], *, seed: int = 1, stops: Stops | None = None,
    resume: bool = False, order: list[str] | None = None, **axes: object,
) -> tuple[list[RunResult], list[str]]:  # fmt: skip
    """Run the arms, named after their QEMUs; return their results and the order of loads."""
    order = [] if order is None else order
    plans = {arm: plan_of(arm, seed, **axes) for arm in hosts}
    before = {arm: read_run(out / arm) if resume else None for arm in hosts}
    shared = alternating(
        {arm: plan.cells(Accel.KVM) for arm, plan in plans.items()}, trials=TRIALS, seed=seed
    )
    for arm in hosts:
        (out / arm).mkdir(parents=True, exist_ok=True)
    results = await run_arms(
        run_plan(
            host, plans[arm], Accel.KVM, out / arm, Order(arm, order, stops),
            qemus=lambda name: hosts[name].open, resumed=before[arm], shared=shared[arm],
        )
        for arm, host in hosts.items()
    )  # fmt: skip
    return results, order


class OpenHost(FakeHost):
    def __init__(self, behaviour: Behaviour = immediate) -> None:
        super().__init__(Script(behaviour))

    def open(self) -> contextlib.AbstractAsyncContextManager[FakeHost]:
        return contextlib.nullcontext(self)


def widest(order: list[str]) -> int:
    """Return by how many loads an arm was ahead of the other at most."""
    done: Counter[str] = Counter()
    ahead = 0
    for arm in order:
        done[arm] += 1
        ahead = max(ahead, abs(done["a"] - done["b"]))
    return ahead


def blocks(order: list[str]) -> list[str]:
    return [arm for arm, _ in itertools.groupby(order)]


async def test_blocks_of_both_arms_alternate_in_the_order_of_the_seed(tmp_path: Path) -> None:
    orders = []
    for number, seed in enumerate((1, 1, 2)):
        hosts = {"a": OpenHost(), "b": OpenHost()}
        results, order = await run(tmp_path / str(number), hosts, seed=seed)
        assert [each.cells[0].counts.trials for each in results] == [TRIALS, TRIALS]
        assert widest(order) <= LOADS
        assert len(blocks(order)) >= TRIALS / LOADS
        orders.append(order)
    assert orders[0] == orders[1] != orders[2]
    firsts = [orders[0][at] for at in range(0, 2 * TRIALS, 2 * LOADS)]
    assert set(firsts) == {"a", "b"}, "each pair of blocks begins with another arm"


async def test_an_arm_that_loses_does_not_fall_behind(tmp_path: Path) -> None:
    """A loss ends the virtual machine, and with it the turn."""
    results, order = await run(tmp_path, {"a": OpenHost(), "b": OpenHost(sometimes(3))})
    assert results[1].cells[0].counts.outcomes[Outcome.LOST] >= 6
    assert widest(order) <= 2 * LOADS


async def test_two_arms_of_one_qemu_are_two_runs(tmp_path: Path) -> None:
    host = OpenHost()
    plan = plan_of("a")
    shared = alternating({arm: plan.cells(Accel.KVM) for arm in "ab"}, trials=TRIALS, seed=1)
    for arm in "ab":
        (tmp_path / arm).mkdir()
    await run_arms(
        run_plan(host, plan, Accel.KVM, tmp_path / arm, qemus=lambda _: host.open,
                 shared=shared[arm])
        for arm in "ab"
    )  # fmt: skip
    assert [read_result(tmp_path / arm).cells[0].counts.trials for arm in "ab"] == [TRIALS] * 2


async def test_an_open_period_is_measured_once_for_both(tmp_path: Path) -> None:
    results, _ = await run(tmp_path, {"a": OpenHost(), "b": OpenHost()}, period_ms="auto")
    counts = [each.cells[0].counts for each in results]
    assert counts[0].period_ns == counts[1].period_ns
    assert sorted(len(each.periods_tried) for each in counts) == [0, 1]


@pytest.mark.parametrize("cut_at", [1, 30])
async def test_arms_that_were_cut_short_go_on_evenly(tmp_path: Path, cut_at: int) -> None:
    hosts = {"a": OpenHost(), "b": OpenHost()}
    order: list[str] = []
    with pytest.raises(CutShortError):
        await run(tmp_path, hosts, stops=Stops(cut_at, fail), order=order)
    assert all(qemu.ended for host in hosts.values() for qemu in host.started)
    cut = [read_result(tmp_path / arm) for arm in "ab"]
    assert all(each.interrupted for each in cut)
    results, _ = await run(tmp_path, hosts, resume=True, order=order)
    assert [each.cells[0].counts.trials for each in results] == [TRIALS, TRIALS]
    assert not any(each.interrupted for each in results)
    assert widest(order) <= 2 * LOADS


async def test_ctrl_c_ends_both(tmp_path: Path) -> None:
    hosts = {"a": OpenHost(), "b": OpenHost()}
    running = asyncio.create_task(run(tmp_path, hosts, stops=Stops(7, lambda: stop())))

    def stop() -> None:
        running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    assert all(qemu.ended for host in hosts.values() for qemu in host.started)
    assert all(read_result(tmp_path / arm).interrupted for arm in "ab")
