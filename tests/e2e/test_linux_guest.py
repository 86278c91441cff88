"""The Linux guest under TCG: its ticks, its faults, and its first process as it is built here."""

import itertools
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from orchestrator.cache.program import shipped
from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import LATE, Outcome
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.lines import Tick
from orchestrator.guest.linux import initramfs
from orchestrator.guest.linux.guest import LinuxGuest
from orchestrator.guest.tick.config import Fault, Switches
from orchestrator.guest.wait import Wait
from orchestrator.host.local import open_host
from orchestrator.packages.apt import PackagesError
from orchestrator.process.background import in_thread
from orchestrator.snapshot.method import Method
from orchestrator.snapshot.table import snapshots
from orchestrator.timers.gap import RATE_TICKS
from orchestrator.trial.aim import Saver
from orchestrator.trial.control_save import ControlSaver
from orchestrator.trial.examine import examine
from orchestrator.trial.follow import LEAST_TICKS
from orchestrator.trial.limits import Limits
from orchestrator.trial.load import Trial
from orchestrator.trial.pace import Paces
from orchestrator.vm.config import Accel, InstanceConfig
from orchestrator.vm.launch import launch
from tests.support.command import started
from tests.support.needs import Need, lacking
from tests.support.places import IMAGES

BUILD = IMAGES / "linux" / "build.sh"

PERIOD_NS = 60_000_000


@pytest.fixture(scope="module", autouse=True)
def _kernel() -> None:
    if shutil.which("qemu-system-x86_64") is None:
        lacking(Need.QEMU, "apt-get install qemu-system-x86")
    try:
        LinuxGuest().prepare()
    except PackagesError as error:
        lacking(Need.PACKAGES, f"a kernel for the guest: {error}")


def machine(switches: Switches = Switches(), **guest: object) -> InstanceConfig:  # noqa: B008  # frozen
    config = GuestConfig(**{"period_ns": PERIOD_NS, **guest})  # type: ignore[arg-type]  # each fits
    program = LinuxGuest(switches=switches)
    return InstanceConfig(Accel.TCG, config, program, memory_mib=program.least_memory_mib)


def built(output: Path) -> bytes:
    """Return the first process as the compiler of this computer builds it."""
    if shutil.which("gcc") is None:
        lacking(Need.COMPILER, "apt-get install gcc")
    subprocess.run([BUILD, output], check=True)
    return output.read_bytes()


def test_the_same_compiler_gives_the_same_bytes(tmp_path: Path) -> None:
    program = built(tmp_path / "init")
    version = subprocess.run(["gcc", "--version"], check=True, capture_output=True, text=True)
    ours = shipped("init", "linux")
    if version.stdout.splitlines()[0] == ours.with_name("init.compiler").read_text().strip():
        assert program == ours.read_bytes()


@pytest.mark.thorough
async def test_the_program_of_another_compiler_ticks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without optimisation the program is another one, as it is from another version."""
    script = tmp_path / "build.sh"
    script.write_text(BUILD.read_text().replace("-O2", "-O0"))
    (tmp_path / "init.c").write_text((IMAGES / "linux" / "init.c").read_text())
    await in_thread(lambda: subprocess.run(["sh", script, tmp_path / "init"], check=True))
    program = (tmp_path / "init").read_bytes()
    assert program != shipped("init", "linux").read_bytes()
    monkeypatch.setattr(initramfs, "shipped", lambda name, folder: tmp_path / name)
    initramfs.initramfs.cache_clear()
    try:
        async with open_host() as host, launch(host, machine()) as instance:
            ticks = [await instance.next_tick() for _ in range(5)]
    finally:
        initramfs.initramfs.cache_clear()
    assert [tick and tick.sequence for tick in ticks] == [1, 2, 3, 4, 5]


async def test_a_timer_that_was_stopped_after_the_load_is_told_from_a_lost_interrupt() -> None:
    """Loads go on where they were saved; then the guest zeroes TMICT, and says so itself."""
    switches = Switches(Fault.TIMER_STOPPED, fault_tick=40)
    async with open_host() as host, launch(host, machine(switches)) as instance:
        limits, paces = Limits(PERIOD_NS), Paces()
        method = snapshots(Method.HMP, host.facts.need_qemu())
        saver = Saver(instance, method, paces, limits)
        save, _ = await saver.take("s", 0.5)
        # After a tick that a busy host makes late, further ones are followed.
        last = 40 - LEAST_TICKS - RATE_TICKS
        assert save.first.ticks < last, "the host was too slow to save before the fault"
        for _ in range(3):
            result = await Trial(instance, method, save, paces, limits).run()
            assert result.outcome.ticked or result.outcome in LATE, result
        trial = Trial(instance, method, save, paces, limits)
        trial.ticks = 50
        result = await trial.run()
        assert result.outcome is Outcome.LOST
        result, hang = await examine(instance, save, result, limits)
    (diagnosis,) = hang.diagnoses
    assert diagnosis.cause is Cause.NOT_RESTORED, diagnosis
    assert "now TMICT is 0" in diagnosis.sentence
    assert "Linux version" not in hang.evidence.console_tail
    assert "NMI received" in hang.evidence.guest_log


async def test_ticks_are_numbered_and_come_in_time() -> None:
    async with open_host() as host, launch(host, machine()) as instance:
        ticks = [await instance.next_tick() for _ in range(8)]
        period = instance.period_cycles
    heard = [tick for tick in ticks if isinstance(tick, Tick)]
    assert [tick.sequence for tick in heard] == list(range(1, 9))
    assert [tick.arms for tick in heard] == list(range(2, 10))
    pairs = list(itertools.pairwise(heard[1:]))
    whole = sum(b.tsc - a.tsc for a, b in pairs) / len(pairs) / period
    assert whole > 0.9, whole
    ran = [(b.tsc - a.tsc - b.stolen) / period for a, b in pairs]
    assert max(ran) < 1.3, ran  # a busy host keeps the vCPU from running, and no longer


@pytest.mark.thorough
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mode", ["one-shot", "periodic"])
def test_300_loads_lose_nothing(mode: str, tmp_path: Path) -> None:
    """Controls are part of each run: `clean` needs both of them."""
    out = tmp_path / "out"
    asked = ["run", "--guest=linux", "--accel=tcg", f"--mode={mode}", "--trials=300", "--json"]
    with started(*asked, f"--out={out}") as command:
        said, errors = command.communicate()
    assert command.returncode == 0, errors
    (cell,) = json.loads(said)["cells"]
    assert cell["trials"] == 300
    assert cell["outcomes"].get("lost", 0) == 0
    assert cell["verdict"] == "clean", cell["why"]
    assert all(control["seen"] for control in cell["controls"])


@pytest.mark.thorough
async def test_one_of_two_vcpus_loses_its_interrupt() -> None:
    """The control's window is on vCPU 1; vCPU 0 ticks on, and is not blamed."""
    config = machine(period_ns=100_000_000, vcpus=2, subject=1, control_tick=6, control_periods=12)
    async with open_host() as host, launch(host, config) as instance:
        limits, paces = Limits(config.guest.period_ns, 2), Paces(2)
        method = snapshots(Method.HMP, host.facts.need_qemu())
        save = await ControlSaver(instance, method, paces, limits).take_control("c")
        result = await Trial(instance, method, save, paces, limits).run()
        result, hang = await examine(instance, save, result, limits)
    outcomes = [part.outcome for part in result.vcpus]
    assert outcomes[0].ticked, result
    assert outcomes[1] is Outcome.LOST
    (diagnosis,) = hang.diagnoses
    assert (diagnosis.vcpu, diagnosis.cause) == (1, Cause.LOST_INTERRUPT), diagnosis


@pytest.mark.thorough
async def test_an_idle_guest_whose_timer_was_stopped() -> None:
    """Its process never runs again: QEMU's view of the LAPIC tells, and no NMI is asked for."""
    switches = Switches(Fault.TIMER_STOPPED, fault_tick=20)
    config = machine(switches, wait=Wait.HALT, period_ns=100_000_000)
    async with open_host() as host, launch(host, config) as instance:
        limits, paces = Limits(config.guest.period_ns), Paces()
        method = snapshots(Method.HMP, host.facts.need_qemu())
        save, _ = await Saver(instance, method, paces, limits).take("s", 0.5)
        assert save.first.ticks < 18, "the host was too slow to save before the fault"
        trial = Trial(instance, method, save, paces, limits)
        trial.ticks = 30
        result, hang = await examine(instance, save, await trial.run(), limits)
    assert result.outcome is Outcome.LOST
    (diagnosis,) = hang.diagnoses
    assert diagnosis.cause is Cause.NOT_RESTORED, diagnosis
    looks = [look.name for look in hang.evidence.looks]
    assert not any(name.startswith("NMI") for name in looks)
    assert looks[-1] == "SysRq q"
    assert not hang.evidence.vcpus[0].rescued, "the kernel answers, and stays without ticks"
    overdue_ns = config.program.overdue_ns(hang.evidence.timer_list, 0)
    assert overdue_ns is not None, hang.evidence.timer_list
    assert overdue_ns > config.guest.period_ns
