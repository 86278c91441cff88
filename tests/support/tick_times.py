"""Loads on the fake host that make ticks come at given times, and waits of QEMU for a CPU."""

from collections.abc import Collection

import pytest

from orchestrator.testing import FakeQemu, FakeVcpu, immediate
from orchestrator.testing.script import Behaviour


def first_after(periods: float) -> Behaviour:
    """Return loads after which the first tick comes so many periods after the resume."""

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        vcpu.due_ns = vcpu.ran_ns + int(periods * qemu.period_ns)

    return on_load


def second_after(periods: float, first: Behaviour = immediate) -> Behaviour:
    """Return loads after which the second tick comes so many periods after the first."""

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        first(qemu, vcpu, number)
        vcpu.stretch_next_ns = int((periods - 1) * qemu.period_ns)

    return on_load


def every(periods: float, first: Behaviour = immediate) -> Behaviour:
    """Return loads after which all ticks but the first come so many periods apart."""

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        first(qemu, vcpu, number)
        vcpu.pace = periods

    return on_load


def let_qemu_wait(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """Let QEMU's threads wait for a CPU for a share of the time, by the host's account."""

    async def waited_ns(qemu: FakeQemu, besides: Collection[int]) -> int:
        return int(share * qemu.clock.now_ns())

    monkeypatch.setattr(FakeQemu, "waited_ns", waited_ns)
