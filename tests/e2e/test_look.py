"""A look at a real QEMU that the test starts by hand, with guests that are frozen or alive."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from orchestrator.attached.by_pid import look_at_process, vcpu_threads
from orchestrator.attached.target import socket_target
from orchestrator.bugs.exposure import exposure
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.tick.config import Fault, Switches
from orchestrator.guest.tick.guest import TickFirmware
from orchestrator.host.local import LocalHost
from orchestrator.look.gather import look
from orchestrator.look.look import Condition, Look
from orchestrator.packages.apt import PackagesError
from orchestrator.packages.trees import unpack
from orchestrator.vm.argv import qemu_args
from orchestrator.vm.config import Accel, InstanceConfig
from tests.support.linux_guest import linux_args
from tests.support.needs import Need, lacking
from tests.support.own_qemus import start_own
from tests.support.processes import wait_until


@dataclass
class Running:
    """A QEMU that runs."""

    qmp: Path
    pid: int
    accel: Accel


Start = Callable[..., Running]


@pytest.fixture
def start(host: LocalHost, tmp_path: Path) -> Iterator[Start]:
    """Start QEMU with the tick firmware, which commits a fault at its fifth tick."""
    started = []

    def run(  # type: ignore[no-untyped-def]
        accel: Accel, fault: Fault = Fault.NONE, *more: str, vcpus: int = 1,
        qemu: Sequence[str] = (), **guest: object,
    ):  # fmt: skip
        config = InstanceConfig(
            accel,
            GuestConfig(period_ns=20_000_000, vcpus=vcpus, **guest),  # type: ignore[arg-type]
            program=TickFirmware(Switches(fault, 5)),
            disk=False,
        )
        for name, content in config.program.files.items():
            (tmp_path / name).write_bytes(content)
        assert host.facts.qemu is not None
        ids = [f"null,id=console{number}" for number in range(config.consoles)]
        nulls = [word for each in ids for word in ("-chardev", each)]
        process = subprocess.Popen(
            [
                *(qemu or (host.facts.qemu.path,)),
                *("-chardev", "socket,id=qmp,path=qmp,server=on,wait=off"),
                *(*nulls, *qemu_args(config), *more),
            ],
            cwd=tmp_path, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        started.append(process)
        assert wait_until(lambda: (tmp_path / "qmp").exists(), 20)
        time.sleep(0.5)  # long after the fifth tick
        return Running(tmp_path / "qmp", process.pid, accel)

    yield run
    for process in started:
        process.kill()
        process.wait()


async def looked(running: Running, host: LocalHost) -> Look:
    """Look at a QEMU as if its host had APICv."""
    facts = replace(host.facts, kvm_modules={"kvm_intel": {"enable_apicv": "Y"}})
    async with socket_target(str(running.qmp)) as target:
        assert target.qemu.pid == running.pid
        found = await look(
            target.qemu,
            exposure(facts, running.accel, None),
            window_ns=1_000_000_000,
            paravirtual=Path("/sys/module/kvm_pvm").exists(),
        )
    print(found)
    assert found.seconds < 10
    return found


BUG, OTHERWISE, ALIVE, UNKNOWN = (
    Condition.FROZEN_BY_BUG, Condition.FROZEN_OTHERWISE, Condition.ALIVE, Condition.UNKNOWN,
)  # fmt: skip


@pytest.mark.parametrize(
    ("wait", "fault", "condition"),
    [
        ("busy", Fault.NONE, ALIVE),
        ("busy", Fault.NO_REARM, BUG),
        ("halt", Fault.NO_REARM, BUG),
        pytest.param("halt", Fault.NONE, ALIVE, marks=pytest.mark.thorough),
        pytest.param("busy", Fault.IF_CLEAR, OTHERWISE, marks=pytest.mark.thorough),
        pytest.param("busy", Fault.TPR_RAISED, OTHERWISE, marks=pytest.mark.thorough),
        pytest.param("halt", Fault.TPR_RAISED, OTHERWISE, marks=pytest.mark.thorough),
        pytest.param("halt", Fault.TIMER_STOPPED, UNKNOWN, marks=pytest.mark.thorough),
        pytest.param("busy", Fault.LVTT_MASKED, UNKNOWN, marks=pytest.mark.thorough),
    ],
)
async def test_each_guest_gets_its_condition(
    host: LocalHost, start: Start, kvm: Accel, wait: str, fault: Fault, condition: Condition
) -> None:
    assert (await looked(start(kvm, fault, wait=wait), host)).condition is condition


@pytest.mark.thorough
async def test_one_of_two_vcpus_is_frozen(host: LocalHost, start: Start, kvm: Accel) -> None:
    found = await looked(start(kvm, Fault.NO_REARM, vcpus=2), host)
    assert [each.condition for each in found.vcpus] == [BUG, ALIVE]
    assert found.condition is BUG


@pytest.mark.thorough
async def test_under_tcg_it_is_never_this_bug(host: LocalHost, start: Start) -> None:
    assert (
        await looked(start(Accel.TCG, Fault.NO_REARM, wait="halt"), host)
    ).condition is OTHERWISE


async def test_a_process_alone(host: LocalHost, start: Start, best_accel: Accel) -> None:
    running = start(best_accel, Fault.NONE, "-name", "guest,debug-threads=on", wait="halt")
    assert wait_until(lambda: len(vcpu_threads(running.pid)) == 1, 10)
    found = await look_at_process(running.pid, host.facts, host.clock, 1_000_000_000)
    assert found.condition is ALIVE
    assert any("Without QEMU's monitor" in each for each in found.caveats)


def test_the_command(
    start: Start, losttick: Callable[..., "subprocess.CompletedProcess[str]"], best_accel: Accel
) -> None:
    running = start(best_accel, wait="halt")
    done = losttick("attach", "--qmp", "qmp", "--seconds", "1", "--json")
    assert done.returncode == 0, done
    found = json.loads(done.stdout)
    assert found["condition"] == "alive"
    assert found["pid"] == running.pid

    with socket.socket(socket.AF_UNIX) as other, other.makefile("rb") as lines:  # another client
        other.connect(str(running.qmp))
        assert b"QMP" in lines.readline()
        done = losttick("attach", "--qmp", "qmp", "--command-deadline", "1")
        assert done.returncode == 3
        assert "its monitor is taken" in done.stderr
        done = losttick(
            "attach", "--qmp", "qmp", "--command-deadline", "1", "--fail-on", "affected"
        )
        assert done.returncode == 0
        assert "its monitor is taken" in done.stderr
        other.sendall(b'{"execute":"qmp_capabilities"}{"execute":"stop"}')
        assert any(b'"STOP"' in line for line in lines)
    done = losttick("attach", "--qmp", "qmp")
    assert done.returncode == 0, done
    assert "paused" in done.stdout
    os.kill(running.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--qmp", "nowhere"), 2, "there is no such socket"),
        (("--pid", "1", "--fail-on", "affected"), 2, "it is no QEMU"),
        *(
            pytest.param(args, 2, said, marks=pytest.mark.thorough)
            for args, said in (
                ((), "name one QEMU"),
                (("--qmp", "/etc/hostname"), "it is no socket"),
                (("--pid", str(2**22 + 5)), "there is no such process"),
                (("--qmp", "x", "--loads", "1", "--alive", "x"), "go together"),
                (("--pid", "1", "--loads", "1"), "needs QEMU's monitor"),
            )
        ),
    ],
)
def test_what_cannot_be_looked_at(
    losttick: Callable[..., "subprocess.CompletedProcess[str]"],
    args: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    done = losttick("attach", *args)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.thorough
async def test_a_linux_without_anything_to_do_is_not_frozen(
    host: LocalHost, tmp_path: Path
) -> None:
    """Its second vCPU has no timer armed, or a long one, and sleeps."""
    own = start_own(tmp_path, Accel.TCG, "halt", "-smp", "2", args=linux_args(tmp_path, "asleep"))
    try:
        console = tmp_path / "console"
        assert wait_until(
            lambda: console.exists() and "asleep" in console.read_text(errors="replace"), 100
        )
        for _ in range(3):
            found = await looked(Running(tmp_path / "qmp", own.process.pid, Accel.TCG), host)
            assert not any(vcpu.condition.frozen for vcpu in found.vcpus)
            assert found.condition in (ALIVE, UNKNOWN)
    finally:
        own.process.kill()
        own.process.wait()


@pytest.mark.thorough
@pytest.mark.parametrize(("fault", "condition"), [(Fault.NONE, ALIVE), (Fault.NO_REARM, BUG)])
async def test_a_qemu_without_counters(
    host: LocalHost, start: Start, kvm: Accel, fault: Fault, condition: Condition
) -> None:
    """QEMU 5.2 has no `query-stats`: the threads of a guest that halts say it."""
    try:
        tree = unpack("bullseye", ["qemu-system-x86"])
    except PackagesError as error:
        lacking(Need.PACKAGES, f"the QEMU of Debian bullseye: {error}")
    binary, prefix = tree.command("usr/bin/qemu-system-x86_64")
    firmware = ("-L", str(tree.root / "usr/share/seabios"), "-L", str(tree.root / "usr/share/qemu"))
    running = start(kvm, fault, *firmware, qemu=(*prefix, binary), wait="halt")
    found = await looked(running, host)
    assert found.qemu is not None
    assert found.qemu.startswith("5.2")
    assert found.condition is condition
