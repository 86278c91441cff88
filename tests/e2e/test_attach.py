"""A real QEMU that the test starts itself: losttick uses it, and leaves it as it was."""

import itertools
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator import (
    Accel,
    Deadlines,
    GuestConfig,
    InstanceConfig,
    MonitorTimeoutError,
    NotOwnedError,
    QemuSocketError,
    attach,
    load_state,
    save_state,
)
from orchestrator.host.attached_qemu import AttachedQemu
from orchestrator.host.local import LocalHost
from orchestrator.vm.argv import DISK_FILE, qemu_args


@dataclass
class Found:
    """A running QEMU."""

    config: InstanceConfig
    pid: int
    qmp: Path
    consoles: list[Path]

    def affinity(self) -> dict[int, set[int]]:
        """Return the CPUs on which each thread may run."""
        threads = [int(task.name) for task in Path(f"/proc/{self.pid}/task").iterdir()]
        return {thread: os.sched_getaffinity(thread) for thread in threads}


Start = Callable[[int], Found]


@pytest.fixture
async def disk(host: LocalHost) -> bytes:
    return await host.empty_disk()


@pytest.fixture
def start(host: LocalHost, disk: bytes, tmp_path: Path) -> Iterator[Start]:
    """Start QEMU with the tick firmware as a daemon: it is nobody's child."""
    pids = []

    def run(vcpus: int) -> Found:
        config = InstanceConfig(Accel.TCG, GuestConfig(period_ns=20_000_000, vcpus=vcpus))
        files = {**config.program.files, DISK_FILE: disk}
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        names = ["qmp", *(f"console{number}" for number in range(config.consoles))]
        sockets = [f"socket,id={name},path={name},server=on,wait=off" for name in names]
        assert host.facts.qemu is not None
        subprocess.run(
            [
                host.facts.qemu.path,
                *(argument for socket in sockets for argument in ("-chardev", socket)),
                *qemu_args(config),
                *("-daemonize", "-pidfile", "pid"),
            ],
            cwd=tmp_path, check=True, timeout=60,
        )  # fmt: skip
        pids.append(int((tmp_path / "pid").read_text()))
        return Found(config, pids[-1], tmp_path / "qmp", [tmp_path / name for name in names[1:]])

    yield run
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("vcpus", [1, 2])
async def test_a_running_qemu_is_used_and_left_as_it_was(
    host: LocalHost, start: Start, tmp_path: Path, vcpus: int
) -> None:
    found = start(vcpus)
    before, files = found.affinity(), sorted(tmp_path.iterdir())
    last = vcpus - 1
    async with attach(host, found.config, qmp=found.qmp, consoles=found.consoles) as instance:
        process = instance.process
        assert isinstance(process, AttachedQemu)
        assert process.pid == found.pid
        assert instance.facts.argv[-3:] == ("-daemonize", "-pidfile", "pid")
        assert not instance.owned

        tick, cpu_ns = await instance.next_tick(vcpu=last), await instance.vcpu_cpu_ns(last)
        assert tick is not None
        assert (await instance.guest_state(last)).ticks >= tick.sequence
        for _ in range(5):  # the kernel counts CPU time up to 4 ms late
            assert await instance.next_tick(vcpu=last), "it goes on"
        assert await instance.vcpu_cpu_ns(last) > cpu_ns > 0
        await instance.mark_waiting()
        assert await instance.waited_ns() >= 0

        assert instance.facts.pinned_cpus == (None,) * vcpus, "nobody has asked for it"
        await instance.pin()
        pinned = instance.facts.pinned_cpus
        threads = instance.facts.vcpu_threads
        if len(os.sched_getaffinity(0)) > 1:
            now = found.affinity()
            assert [now[thread] for thread in threads] == [{cpu} for cpu in pinned]

        for tag, method in (("one", "hmp"), ("two", "jobs")):
            await save_state(instance, tag, method)
            saved = (await instance.guest_state(last)).ticks
            await instance.cont()
            assert await instance.next_tick(vcpu=last)
            await load_state(instance, tag, method)
            assert (await instance.guest_state(last)).ticks == saved
            await instance.cont()
            tick = await instance.next_tick(vcpu=last)
            assert tick is not None, "the tick was lost"
            assert saved <= tick.sequence <= saved + 1

        for refused in (save_state, load_state):
            with pytest.raises(NotOwnedError, match="by incoming"):
                await refused(instance, "three", "incoming")
        with pytest.raises(NotOwnedError, match="a load into a new QEMU"):
            await instance.replace_qemu((), {})
        for end in (instance.kill, process.kill):
            with pytest.raises(NotOwnedError, match="ending QEMU"):
                await end()
        await instance.stop()
    dump = Path(process.dump_file)
    assert not dump.parent.exists()
    assert sorted(tmp_path.iterdir()) == files
    after = found.affinity()
    assert [after[thread] for thread in threads] == [before[thread] for thread in threads]

    async with attach(host, found.config, qmp=found.qmp, consoles=found.consoles) as instance:
        ticks = [await instance.next_tick(vcpu=last) for _ in range(10)]
        gaps = [b.tsc - a.tsc for a, b in itertools.pairwise(ticks) if a and b]
        assert 0.9 < min(gaps) / instance.measured_cycles < 2
        assert instance.running
        again = await instance.next_tick(vcpu=last)
        assert again is not None, "it was left stopped, or its console is gone"
        assert again.sequence >= tick.sequence


async def test_sockets_that_cannot_be_had(host: LocalHost, start: Start, tmp_path: Path) -> None:
    found = start(1)
    with pytest.raises(QemuSocketError, match=r"nowhere: No such file"):
        async with attach(host, found.config, qmp=found.qmp, consoles=[tmp_path / "nowhere"]):
            pass
    async with attach(host, found.config, qmp=found.qmp, consoles=found.consoles) as instance:
        host.deadlines = Deadlines(command_ns=200_000_000)
        with pytest.raises(MonitorTimeoutError, match="no greeting"):
            async with attach(host, found.config, qmp=found.qmp, consoles=found.consoles):
                pass
        assert await instance.next_tick(), "the first client keeps its streams"
