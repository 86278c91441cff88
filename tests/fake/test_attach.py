"""Attaching, where the other side is a script: what is refused, and what is put back."""

import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest

from orchestrator import (
    Accel,
    GuestConfig,
    Instance,
    InstanceConfig,
    MonitorError,
    NoAttachError,
    NotOwnedError,
    QemuSocketError,
    attach,
    load_state,
    save_state,
)
from orchestrator.process.exit import ProcessExit
from orchestrator.qmp.monitor import DEFAULT_DEADLINES
from orchestrator.testing import FakeHost, FakeQemu, Script, immediate
from orchestrator.vm.argv import qemu_args

CONFIG = InstanceConfig(Accel.KVM, GuestConfig(period_ns=100_000_000))


class FoundQemu(FakeQemu):
    """A QEMU that was running before."""

    released = 0

    async def release(self) -> None:
        self.released += 1

    async def kill(self) -> ProcessExit:
        raise AssertionError("it must not be ended")


class AttachingFake(FakeHost):
    """A host on which one QEMU runs already."""

    qemu_class = FoundQemu

    async def attach_qemu(self, qmp: str, consoles: Sequence[str]) -> FoundQemu:
        assert (qmp, consoles) == ("/qmp", ["/console"])
        found = self.qemu_class(
            CONFIG.guest, self.script, ["-S", *qemu_args(CONFIG)], {"disk.qcow2": b""}
        )
        found.running = self.runs
        self.found = found
        return found

    runs = True
    found: FoundQemu


@contextlib.asynccontextmanager
async def attached(host: AttachingFake) -> AsyncIterator[Instance]:
    """Attach to the host's QEMU; afterwards it is still there, and released once."""
    try:
        async with attach(host, CONFIG, qmp="/qmp", consoles=["/console"]) as instance:
            yield instance
    finally:
        assert host.found.released == 1
        for stream in (host.found.qmp, *host.found.consoles):
            assert stream.fileno() == -1, "it is closed"
        host.found.end(ProcessExit(0, ""))
        await host.found.monitor.closed()


async def test_hosts_that_cannot_attach_say_so() -> None:
    with pytest.raises(NoAttachError, match=r"a FakeHost cannot do that.*open_host"):
        async with attach(FakeHost(), CONFIG, qmp="/qmp", consoles=["/console"]):
            pass


async def test_a_wrong_number_of_consoles_is_refused() -> None:
    for consoles in ([], ["/one", "/two"]):
        with pytest.raises(QemuSocketError, match=f"{len(consoles)} consoles .* for 1 vCPUs"):
            async with attach(AttachingFake(), CONFIG, qmp="/qmp", consoles=consoles):
                pass


@pytest.mark.parametrize(
    ("answers", "cycles"),
    [
        ({}, 200_000_000),
        ({"qom-get": "nobody knows"}, 200_000_000),
        ({"qom-get": "nobody knows", "pmemsave": "nothing written"}, 0),
    ],
)
async def test_the_length_of_a_period_by_the_tsc(answers: dict[str, object], cycles: int) -> None:
    """If QEMU does not know the TSC's frequency, as under TCG, the guest's memory has it."""
    script = Script(
        on_command={name: lambda _, given=given: given for name, given in answers.items()}
    )
    async with attached(AttachingFake(script)) as instance:
        assert bool(instance.tsc_hz) is not bool(answers)
        assert instance.period_cycles == cycles


async def test_a_monitor_that_is_slow_to_read_the_memory_is_no_reason_to_give_up() -> None:
    async def late(qemu: FakeQemu) -> None:
        await qemu.clock.sleep(DEFAULT_DEADLINES.command_ns + 10**9)

    script = Script(on_command={"qom-get": lambda _: "nobody knows", "pmemsave": late})
    async with attached(AttachingFake(script)) as instance:
        assert instance.period_cycles == 0


@pytest.mark.parametrize("runs", [True, False])
async def test_the_run_state_is_put_back(runs: bool) -> None:
    host = AttachingFake(Script(immediate))
    host.runs = runs
    async with attached(host) as instance:
        assert instance.running is runs
        await (instance.stop if runs else instance.cont)()
        assert host.found.running is not runs
    assert host.found.running is runs


async def test_a_guest_that_stopped_for_a_reason_of_its_own_is_not_resumed() -> None:
    host = AttachingFake(Script(immediate))
    async with attached(host) as instance:
        await instance.stop()
        host.script.on_command["query-status"] = lambda qemu: {"status": "io-error"}
    assert not host.found.running


async def test_run_states_that_others_change_are_left_alone() -> None:
    host = AttachingFake(Script(immediate))
    async with attached(host):
        host.found.running = False
    assert not host.found.running


async def test_states_are_saved_and_loaded_and_nothing_is_replaced() -> None:
    host = AttachingFake(Script(immediate))
    async with attached(host) as instance:
        assert await instance.next_tick()
        await save_state(instance, "here", "hmp")
        await load_state(instance, "here", "hmp")
        for refused in (save_state, load_state):
            with pytest.raises(NotOwnedError, match="saving or loading by exec"):
                await refused(instance, "there", "exec")
        with pytest.raises(NotOwnedError):
            await instance.replace_qemu((), {})
        with pytest.raises(NotOwnedError):
            await instance.kill()
    assert host.found.running
    assert host.started == []


async def test_a_qemu_that_ends_meanwhile_is_no_error_at_the_end() -> None:
    host = AttachingFake(Script(immediate))
    async with attached(host) as instance:
        await instance.stop()
        host.found.end(ProcessExit(-9, ""))
        with pytest.raises(MonitorError):
            await instance.run_state()


class ElsewhereQemu(FoundQemu):
    """A QEMU whose threads are not those of the process that listens."""

    async def vcpu_cpu_ns(self, thread_id: int) -> int:
        raise ProcessLookupError


async def test_threads_of_another_process_are_refused() -> None:
    host = AttachingFake(Script(immediate))
    host.qemu_class = ElsewhereQemu
    with pytest.raises(NoAttachError, match="no thread 4242"):
        async with attached(host):
            pytest.fail("it attached")
