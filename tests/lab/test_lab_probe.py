"""Real Debian kernels, untouched, with the real kvm_intel and APICv, on Bochs.

A cold cache is allowed: then Bochs is built and the kernels are fetched.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from orchestrator.bugs.exposure import ExposureState, exposure
from orchestrator.errors import UnfitError
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.lab.direct import LabProbe, probe_in_lab
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.emulator.boot import Lab, LabError
from orchestrator.lab.emulator.media import boot_cd, initrd
from orchestrator.lab.kernel.names import kernel
from orchestrator.testing import FACTS
from orchestrator.vm.config import Accel
from tests.support.command import started
from tests.support.needs import Need, lacking
from tests.support.processes import marked_processes, wait_until

pytestmark = pytest.mark.timeout(900)

TMCCTS = (0, 1, 100, 1_000, 10_000, 100_000)

Probe = Callable[..., LabProbe]


def run_probe(emulator: Bochs, suite: str, **options: bool) -> LabProbe:
    try:
        fetched = kernel(f"debian:{suite}")
    except UnfitError as error:
        lacking(Need.LAB, f"a kernel: {error}")
    return asyncio.run(probe_in_lab(emulator, fetched, FACTS, 20, 200_000, TMCCTS, **options))


def losses(probe: LabProbe) -> dict[int, int]:
    return {series.tmcct_ns: series.lost for series in probe.result.series}


def test_stock_5_10_has_the_narrow_race(emulator: Bochs) -> None:
    found = run_probe(emulator, "bullseye")
    assert found.facts.kernel.startswith("5.10.")
    assert found.facts.kvm_modules["kvm_intel"]["enable_apicv"] == "Y"
    assert losses(found) == {0: 0, 1: 20, 100: 20, 1_000: 20, 10_000: 0, 100_000: 0}
    exposed = exposure(found.facts, Accel.KVM, TimerMode.ONE_SHOT)
    assert exposed.state is ExposureState.EXPOSED


def test_it_is_gone_without_apicv(emulator: Bochs) -> None:
    found = run_probe(emulator, "bullseye", apicv=False)
    assert found.facts.kvm_modules["kvm_intel"]["enable_apicv"] == "N"
    assert set(losses(found).values()) == {0}
    assert found.result.control.lost == found.result.control.trials


def test_stock_6_1_loses_nothing(emulator: Bochs) -> None:
    found = run_probe(emulator, "bookworm")
    assert found.facts.kernel.startswith("6.1.")
    assert found.facts.kvm_modules["kvm_intel"]["enable_apicv"] == "Y"
    assert set(losses(found).values()) == {0}
    assert found.result.control.lost == found.result.control.trials


async def boot(emulator: Bochs, init: str) -> list[str]:
    cd = boot_cd(kernel("debian:bookworm").image, initrd({"init": init.encode()}))
    async with contextlib.aclosing(Lab(emulator, cd).lines()) as lines:
        return [line async for line in lines]


@pytest.mark.parametrize(
    ("init", "words"),
    [
        ("#!/bin/busybox sh\nexit 1\n", "its kernel panicked (Kernel panic - not syncing"),
        (
            "#!/bin/busybox sh\n/bin/busybox mkdir -p /dev\n"
            "/bin/busybox mount -t devtmpfs dev /dev\n"
            "echo 'LAB failed insmod kvm' >/dev/ttyS0\n/bin/busybox sleep 9\n",
            "KVM did not come up in it (insmod kvm)",
        ),
        ("#!/bin/busybox sh\n/bin/busybox poweroff -f\n", "the emulator ended before"),
    ],
)
async def test_a_lab_that_fails_says_how(emulator: Bochs, init: str, words: str) -> None:
    with pytest.raises(LabError) as caught:
        await boot(emulator, init)
    assert words in str(caught.value)


async def test_a_lab_that_stalls_says_so(emulator: Bochs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.lab.emulator.boot.SILENCE_S", 15.0)
    init = "#!/bin/busybox sh\nwhile :; do :; done\n"
    with pytest.raises(LabError, match="the emulator stalled: no word in 15 s"):
        await boot(emulator, init)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_ended_command_leaves_no_emulator(
    emulator: Bochs, runtime_folder: Path, how: signal.Signals
) -> None:
    marker = f"lab-{os.getpid()}-{how}"
    running = partial(marked_processes, marker)
    environment = os.environ | {"LOSTTICK_TEST": marker}
    with started("lab", "probe", "--kernel", "debian:bookworm", env=environment) as process:
        assert wait_until(lambda: "bochsrc" in str(running()))
        process.send_signal(how)
        process.communicate(timeout=20)
    assert process.returncode == (130 if how is signal.SIGINT else -how)
    assert wait_until(lambda: not running(), 10), running()
    assert wait_until(lambda: not list(runtime_folder.iterdir()), 10)
