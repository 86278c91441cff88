"""A guest goes on where its snapshot left it."""

import pytest

from orchestrator import Method, load_state, save_state
from orchestrator.pytest_plugin import AsyncMachines, Machine


def test_the_guest_ticks_on(machine: Machine) -> None:
    assert machine.next_tick()
    machine.save("here")
    machine.load("here")
    saved = machine.guest_state().ticks
    machine.cont()
    tick = machine.next_tick()
    assert tick is not None, "the tick was lost"
    # A tick whose line was being printed when the state was saved is heard again.
    assert saved <= tick.sequence <= saved + 1


@pytest.mark.parametrize("method", list(Method))
def test_every_method(
    machine: Machine, losttick_methods: tuple[Method, ...], method: Method
) -> None:
    if method not in losttick_methods:
        pytest.skip(f"this QEMU has no method {method}")
    machine.save("here", method)
    machine.load("here", method)
    machine.cont()
    assert machine.next_tick()


async def test_two_machines_at_once(losttick_async_machine: AsyncMachines) -> None:
    first, second = [await losttick_async_machine(period_ms=20) for _ in range(2)]
    await save_state(first, "here")
    assert await second.next_tick(), "the other goes on"
    await load_state(first, "here")
    await first.cont()
    assert await first.next_tick()
