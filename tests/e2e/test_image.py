"""The firmware's image: its bytes from another binutils, where it prints, and what it counts."""

import asyncio
import fcntl
import os
import shutil
import signal
import statistics
import subprocess
import termios
import time
from array import array
from itertools import islice
from pathlib import Path

import pytest

from orchestrator.guest.config import GuestConfig
from orchestrator.guest.lines import UNTOLD, Ready, Tick
from orchestrator.guest.tick.config import CONFIG_FILE, DEBUG_PORT, Switches, record
from orchestrator.guest.tick.image import Firmware, firmware
from orchestrator.guest.tick.lines import LINE, parse
from orchestrator.host.local import LocalHost
from orchestrator.host.local_qemu import LocalQemu
from orchestrator.packages.apt import PackagesError
from orchestrator.packages.trees import unpack
from orchestrator.trial.limits import Limits
from orchestrator.trial.watch import Heard, Watch
from orchestrator.vm.config import Accel, InstanceConfig
from orchestrator.vm.launch import launch
from tests.support.needs import Need, lacking
from tests.support.places import IMAGES
from tests.support.processes import wait_until

BUILD = IMAGES / "tick" / "build.sh"

PERIOD_NS = 20_000_000

#: The wait loop, and the same with half of a long turn between the look for a tick and the TSC.
BUSY = "\nbusy:   testb "
SLOW_BUSY = f"""
        rdtsc
        mov     %eax, %ecx
9:      rdtsc
        sub     %ecx, %eax
        shr     $9, %eax
        cmp     S_TURN_LIMIT, %eax
        jb      9b{BUSY}"""


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_the_same_bytes_from_each_suites_binutils(suite: str, tmp_path: Path) -> None:
    try:
        tree = unpack(suite, ["binutils"])
    except PackagesError as error:
        lacking(Need.PACKAGES, f"the binutils of Debian {suite}: {error}")
    for tool in ("as", "objcopy", "objdump"):
        program, prefix = tree.command(f"usr/bin/x86_64-linux-gnu-{tool}")
        wrapper = tmp_path / tool
        wrapper.write_text(f'#!/bin/sh\nexec {" ".join(prefix)} {program} "$@"\n')
        wrapper.chmod(0o755)
    output = tmp_path / "tick.bin"
    path = f"{tmp_path}:{os.environ['PATH']}"
    subprocess.run([BUILD, output], check=True, env=os.environ | {"PATH": path})
    assert output.read_bytes() == firmware().content


def test_lines_go_to_the_debug_port_where_qemu_has_one(tmp_path: Path) -> None:
    """A lab's QEMU has one: a byte for it costs an emulated CPU much less than one for a UART."""
    qemu = shutil.which("qemu-system-x86_64")
    if qemu is None:
        lacking(Need.QEMU, "apt-get install qemu-system-x86")
    (tmp_path / "tick.bin").write_bytes(firmware().content)
    told = record(GuestConfig(), Switches())
    command = [
        qemu, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc,accel=tcg",
        "-m", "8", "-bios", "tick.bin", "-fw_cfg", f"name={CONFIG_FILE},string={told}",
        "-serial", "file:uart", "-chardev", "file,id=port,path=port",
        "-device", f"isa-debugcon,iobase={DEBUG_PORT:#x},chardev=port",
    ]  # fmt: skip
    with subprocess.Popen(command, cwd=tmp_path) as process:
        try:
            assert wait_until(lambda: (tmp_path / "port").exists())
            assert wait_until(lambda: b"\nT0 2 " in (tmp_path / "port").read_bytes())
        finally:
            process.kill()
    assert LINE.findall((tmp_path / "port").read_bytes())
    assert (tmp_path / "uart").read_bytes() == b""


def test_a_line_that_took_more_cycles_to_print_than_a_field_holds_says_so(tmp_path: Path) -> None:
    """A guest whose lines nobody reads for a while stands in the middle of one."""
    qemu = shutil.which("qemu-system-x86_64")
    if qemu is None:
        lacking(Need.QEMU, "apt-get install qemu-system-x86")
    (tmp_path / "tick.bin").write_bytes(firmware().content)
    guest = GuestConfig(period_ns=5_000_000)
    command = [
        qemu, "-nodefaults", "-no-user-config", "-display", "none",
        "-machine", "pc,accel=kvm:tcg", "-m", "8", "-bios", "tick.bin",
        "-fw_cfg", f"name={CONFIG_FILE},string={record(guest, Switches())}",
        "-chardev", "stdio,id=port,signal=off",
        "-device", f"isa-debugcon,iobase={DEBUG_PORT:#x},chardev=port",
    ]  # fmt: skip
    with subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        try:
            assert process.stdout
            room = fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
            found = parse(next(filter(None, map(LINE.search, process.stdout))))
            assert found
            ready = found[1]
            assert isinstance(ready, Ready)
            assert wait_until(lambda: waiting(process.stdout) >= room, 60)
            # As long as a field holds, and some more. Nobody can see from outside when it is over.
            time.sleep(1.2 * (1 << 32) / ready.period_cycles * guest.period_ns / 1e9)
            told = (parse(line) for line in filter(None, map(LINE.search, process.stdout)))
            ticks = (said[1] for said in told if said and isinstance(said[1], Tick))
            assert any(tick.print_cycles == UNTOLD for tick in islice(ticks, 400))
        finally:
            process.kill()


def waiting(pipe: object) -> int:
    """Return the number of bytes in a pipe."""
    count = array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)  # type: ignore[call-overload]
    return count[0]


@pytest.fixture
def slow_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guests look for a tick half of a long turn before they read the TSC."""
    if not all(map(shutil.which, ("as", "objcopy", "objdump"))):
        lacking(Need.BINUTILS, "apt-get install binutils")
    source = (IMAGES / "tick" / "tick.S").read_text()
    assert source.count(BUSY) == 1
    (tmp_path / "tick.S").write_text(source.replace(BUSY, SLOW_BUSY))
    shutil.copy(BUILD, tmp_path)
    subprocess.run([tmp_path / "build.sh"], check=True)
    slow = Firmware((tmp_path / "tick.bin").read_bytes(), "")
    monkeypatch.setattr("orchestrator.guest.tick.guest.firmware", lambda: slow)


@pytest.mark.usefixtures("slow_turns")
async def test_a_line_counts_the_time_since_a_long_turn_until_the_tick(
    host: LocalHost, kvm: Accel
) -> None:
    """And not until the end of a later turn, where the tick came between a look and the TSC."""
    config = GuestConfig(period_ns=PERIOD_NS)
    since: list[int] = []
    async with launch(host, InstanceConfig(kvm, config)) as instance:
        assert isinstance(instance.process, LocalQemu)
        watch, limits = Watch(instance, Limits(PERIOD_NS)), Limits(PERIOD_NS)
        while len(since) < 10:
            heard = await watch.tick(limits.silence_ns)
            assert isinstance(heard, Heard), heard
            if heard.line.longest > 2 * instance.period_cycles:
                since.append(heard.line.since_longest)
            elif heard.line.sequence % 3 == 0:
                os.kill(instance.process.pid, signal.SIGSTOP)
                await asyncio.sleep(3 * PERIOD_NS / 1e9)
                os.kill(instance.process.pid, signal.SIGCONT)
    # The tick had waited, and ended the turn. On a busy host a timer may fire after its vCPU runs
    # on, but not in every other stop; a guest that counts wrongly does so in nearly all.
    assert statistics.median(since) == 0, since
