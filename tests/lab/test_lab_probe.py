"""Real Debian kernels, untouched, with the real kvm_intel and APICv, on Bochs.

A cold cache is allowed: then Bochs is built and the kernels are fetched.
"""

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import pytest

from orchestrator.bugs.exposure import ExposureState, exposure
from orchestrator.clock import DEFAULT_DEADLINES, Deadlines
from orchestrator.direct.wanted import DirectTrials
from orchestrator.findings.series import Series
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.lab.arms import Arm
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.emulator.boot import Lab, LabError
from orchestrator.lab.emulator.media import boot_cd, initrd
from orchestrator.lab.kernel.names import kernel
from orchestrator.vm.config import Accel
from tests.support.command import started
from tests.support.labs import SharedLabs, fetched, shared_labs
from tests.support.processes import marked_processes, wait_until

pytestmark = pytest.mark.timeout(900)

TMCCTS = (0, 1, 100, 1_000, 10_000, 100_000)

#: Far more than a call of KVM takes on an emulated CPU is not needed where nothing is re-armed.
WANTED = DirectTrials(20, 200_000, TMCCTS)


@pytest.fixture(scope="module")
def oldest(emulator: Bochs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedLabs]:
    """Bullseye's kernel, 5.10."""
    arms = [Arm(fetched("debian:bullseye"))]
    with shared_labs(emulator, arms, tmp_path_factory.mktemp("oldest")) as labs:
        yield labs


def losses(series: Iterable[Series]) -> dict[int, int]:
    return {each.tmcct_ns: each.lost for each in series}


def test_stock_5_10_has_the_narrow_race(oldest: SharedLabs) -> None:
    facts, series = oldest.count(Arm(fetched("debian:bullseye")), WANTED)
    assert facts.kernel.startswith("5.10.")
    found = losses(series)
    # A timer that has longer to run is lost only if an interrupt of the kernel prolongs the call.
    longer = [found.pop(10_000), found.pop(100_000)]
    assert found == {0: 0, 1: 20, 100: 20, 1_000: 20}
    assert max(longer) <= 2
    exposed = exposure(facts, Accel.KVM, TimerMode.ONE_SHOT)
    assert exposed.state is ExposureState.EXPOSED


def test_it_is_gone_without_apicv(oldest: SharedLabs) -> None:
    _, series = oldest.count(Arm(fetched("debian:bullseye"), apicv=False), WANTED)
    assert set(losses(series).values()) == {0}


@pytest.mark.thorough
def test_stock_6_1_loses_nothing(emulator: Bochs, tmp_path: Path) -> None:
    """The usual suite has the same kernel in tests/lab/test_lab_variants.py, untouched."""
    arm = Arm(fetched("debian:bookworm"))
    (tmp_path / "labs").mkdir()
    with shared_labs(emulator, [arm], tmp_path / "labs") as labs:
        facts, series = labs.count(arm, WANTED)
    assert facts.kernel.startswith("6.1.")
    assert set(losses(series).values()) == {0}


async def boot(emulator: Bochs, init: str, deadlines: Deadlines = DEFAULT_DEADLINES) -> list[str]:
    cd = boot_cd(kernel("debian:bookworm").image, initrd({"init": init.encode()}))
    async with contextlib.aclosing(Lab(emulator, cd, deadlines=deadlines).lines()) as lines:
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


async def test_a_lab_that_stalls_says_so(emulator: Bochs) -> None:
    init = "#!/bin/busybox sh\nwhile :; do :; done\n"
    with pytest.raises(LabError, match="the emulator stalled: no word in 15 s"):
        await boot(emulator, init, Deadlines(lab_silence_ns=15_000_000_000))


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
