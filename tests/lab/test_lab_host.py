"""A lab as a host: what its agent does for a QEMU, and what becomes of one that fails."""

import asyncio
import io
import os
import signal
import threading
from pathlib import Path

import pytest

from orchestrator.clock import Deadlines
from orchestrator.errors import UnfitError
from orchestrator.guest.config import GuestConfig
from orchestrator.host.errors import QemuStartError
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.emulator.boot import LabError
from orchestrator.lab.host.boot import boot
from orchestrator.lab.host.image import LabImage
from orchestrator.lab.host.qemu import packaged_qemu
from orchestrator.lab.kernel.names import kernel
from orchestrator.testing import FACTS
from orchestrator.vm.config import Accel, InstanceConfig
from orchestrator.vm.launch import launch
from tests.support.needs import Need, lacking
from tests.support.other_user import ATTACK, as_nobody
from tests.support.processes import wait_until
from tests.support.sockets import doors, held

pytestmark = pytest.mark.timeout(600)

PERIOD_NS = 200_000_000
TICKING = InstanceConfig(Accel.KVM, GuestConfig(period_ns=PERIOD_NS))


async def image(emulator: Bochs) -> LabImage:
    try:
        return LabImage(emulator, kernel("debian:bookworm"), await packaged_qemu())
    except UnfitError as error:
        lacking(Need.LAB, str(error))


def emulators(folder: Path) -> list[int]:
    """The pids of the emulators whose folder is in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().parent == folder and (
                "bochsrc" in (process / "cmdline").read_text()
            ):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def parent(pid: int) -> int:
    """Return the parent of a process."""
    stat = (Path("/proc") / str(pid) / "stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])


async def test_a_host_like_any_other(emulator: Bochs, runtime_folder: Path) -> None:
    log = io.BytesIO()
    async with boot(await image(emulator), FACTS, log) as host:
        # Neither losttick nor the emulator waits for a connection of anybody.
        assert [
            door for pid in (os.getpid(), *emulators(runtime_folder)) for door in doors(pid)
        ] == []

        facts = host.facts
        assert facts.kernel in await host.read_file("/proc/version")
        assert {"apicv", "posted_intr", "vid"} <= set(facts.vmx_flags)

        # Its clock is the lab's.
        before = host.clock.now_ns()
        uptime_s = float((await host.read_file("/proc/uptime")).split()[0])
        assert before / 1e9 <= uptime_s + 0.5
        assert uptime_s <= host.clock.now_ns() / 1e9 + 0.5

        # A QEMU that refuses its arguments is quoted.
        with pytest.raises(QemuStartError, match=r"ended.*unsupported machine type"):
            async with launch(host, InstanceConfig(Accel.KVM, machine="nonsense")):
                pytest.fail("it started")

        # Files that the lab was not booted with are sent.
        content = bytes(range(256)) * 33
        process = await host.start_qemu(["-version"], {"extra.bin": content})
        assert (await process.exited()).code == 0
        await process.kill()
        for stream in (process.qmp, *process.consoles):
            stream.close()

        # One after another, and two at a time.
        async with (
            launch(host, TICKING) as one,
            launch(host, TICKING) as two,
        ):
            for instance in (one, two):
                assert await instance.console.next_line(30_000_000_000)
                assert await instance.vcpu_cpu_ns() > 0
                assert await instance.process.waited_ns(instance.facts.vcpu_threads) >= 0
            # One that is ended from inside says how; the other goes on.
            with pytest.raises(OSError, match="No such file"):
                await one.process.read_file("no-such-file")
            await host._link.ask(b"K", 0, b"")
            assert (await one.process.exited()).code == -signal.SIGKILL
            while two.console.drain():  # what came meanwhile
                pass
            assert await two.console.next_line(30_000_000_000)
    assert b"LAB kernel 6.1" in log.getvalue()
    assert emulators(runtime_folder) == []


async def test_another_user_reaches_no_lab(emulator: Bochs) -> None:
    """Another user tries every door that opens while a lab boots and runs, with forged frames."""
    kernel_image = await image(emulator)
    reached: list[str] = []
    with as_nobody(ATTACK) as attacker:
        stdout = attacker.stdout
        assert stdout is not None
        assert stdout.readline() == "ready\n"

        def note() -> None:  # other programs of this computer may have doors, too
            reached.extend(inode for inode in stdout if int(inode) in held(os.getpid()))

        noting = threading.Thread(target=note)
        noting.start()
        async with boot(kernel_image, FACTS) as host, launch(host, TICKING) as instance:
            assert await instance.console.next_line(30_000_000_000)
        assert attacker.stdin is not None
        attacker.stdin.close()
        noting.join()
    assert reached == []


@pytest.mark.parametrize(
    "victim", ["emulator", pytest.param("supervisor", marks=pytest.mark.thorough)]
)
async def test_an_emulator_that_dies_is_no_freeze(
    emulator: Bochs, runtime_folder: Path, victim: str
) -> None:
    """The lab's folder and the emulator are gone as well if its supervisor is killed."""
    log = io.BytesIO()
    async with boot(await image(emulator), FACTS, log) as host:
        async with launch(host, TICKING) as instance:
            (pid,) = emulators(runtime_folder)
            os.kill(pid if victim == "emulator" else parent(pid), signal.SIGKILL)
            end = await instance.process.exited()
            assert "emulator ended" in end.stderr or "is closed" in end.stderr
        with pytest.raises(QemuStartError, match=r"the emulator ended|is closed"):
            async with launch(host, TICKING):
                pytest.fail("it started")
    assert b"LAB parameter kvm_intel enable_apicv=Y" in log.getvalue()
    assert wait_until(lambda: not emulators(runtime_folder), 10)


async def test_a_lab_that_gets_no_cpu_for_long_is_slow_and_nothing_else(
    emulator: Bochs, runtime_folder: Path
) -> None:
    """Stopped for longer than QEMU's greeting may take, while that QEMU starts."""
    async with boot(await image(emulator), FACTS) as host:
        (pid,) = emulators(runtime_folder)
        stopped_s = 1.2 * host.deadlines.command_ns / 1e9 / host.clock.speed

        async def starve() -> None:
            await asyncio.sleep(0.2)
            os.kill(pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(stopped_s)
            finally:
                os.kill(pid, signal.SIGCONT)

        starving = asyncio.create_task(starve())
        async with launch(host, TICKING) as instance:
            await starving
            assert await instance.console.next_line(30_000_000_000)


async def test_an_agent_that_never_speaks_ends_the_boot(emulator: Bochs) -> None:
    deadlines = Deadlines(lab_boot_ns=1_000_000_000)  # a boot takes 4 s at least
    with pytest.raises(LabError, match="its agent said nothing in 1 s"):
        async with boot(await image(emulator), FACTS, deadlines=deadlines):
            pytest.fail("it booted in 1 s")
