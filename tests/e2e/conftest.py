"""Real QEMU, real KVM where it works, and a check that nothing is left behind."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from orchestrator.campaign.run import CellResult, run_plan
from orchestrator.errors import LosttickError
from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.host import tracefs
from orchestrator.host.facts import HostFacts
from orchestrator.host.local import LocalHost
from orchestrator.host.qemu_binary import probe_qemu
from orchestrator.packages.apt import PackagesError
from orchestrator.packages.trees import unpack
from orchestrator.plan.load import build_plan
from orchestrator.process import folder
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from orchestrator.vm.tryout import why_not

MARKER = "LOSTTICK_TEST"


def marked_processes(marker: str) -> dict[int, str]:
    """Return the processes, other than this one, that inherited the marker."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARKER}={marker}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found[int(process.name)] = (process / "cmdline").read_bytes().decode()
        except OSError:
            continue
    found.pop(os.getpid(), None)
    return found


def trace_instances() -> set[Path]:
    place = tracefs.find()
    return set((place / "instances").glob(folder.PREFIX + "*")) if place else set()


def wait_until(condition: Callable[[], bool], timeout_s: float = 60) -> bool:
    """Wait for something that another process does, under a deadline."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


@pytest.fixture(autouse=True)
def nothing_left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Fail a test that leaves a process or a folder; gives the marker of its processes."""
    marker = uuid.uuid4().hex
    monkeypatch.setenv(MARKER, marker)
    with tempfile.TemporaryDirectory(dir=folder.base_folder()) as place:
        monkeypatch.setenv("XDG_RUNTIME_DIR", place)  # QEMU's folders go there
        traced = trace_instances()
        yield marker
        assert wait_until(lambda: not marked_processes(marker), 10), marked_processes(marker)
        assert wait_until(lambda: not any(Path(place).iterdir()), 10), list(Path(place).iterdir())
        assert trace_instances() <= traced


@pytest.fixture(scope="session")
def unusable() -> dict[Accel, str | None]:
    """Why each accelerator does not work here; found by trying it."""

    async def probe() -> dict[Accel, str | None]:
        host = LocalHost()
        return {accel: await why_not(host, accel) for accel in Accel}

    try:
        return asyncio.run(probe())
    except LosttickError as error:
        return dict.fromkeys(Accel, str(error))


@pytest.fixture(params=list(Accel))
def accel(request: pytest.FixtureRequest, unusable: dict[Accel, str | None]) -> Accel:
    """Each accelerator that works here."""
    chosen: Accel = request.param
    if why := unusable[chosen]:
        pytest.skip(f"{chosen} does not work here: {why}")
    return chosen


@pytest.fixture
def best_accel(unusable: dict[Accel, str | None]) -> Accel:
    """KVM where it works, else TCG."""
    return Accel.TCG if unusable[Accel.KVM] else Accel.KVM


@pytest.fixture
def kvm(unusable: dict[Accel, str | None]) -> Accel:
    """KVM, or a skip."""
    if why := unusable[Accel.KVM]:
        pytest.skip(f"needs a KVM that works: {why}")
    return Accel.KVM


@pytest.fixture
async def host() -> AsyncIterator[LocalHost]:
    yield LocalHost()


@pytest.fixture
async def facts(host: LocalHost) -> HostFacts:
    return await host.facts(await probe_qemu(host))


@pytest.fixture
def losttick(tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run the command in a folder of its own."""

    def run(*args: str, path: str | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            losttick_command(*args), cwd=tmp_path, capture_output=True, text=True, timeout=100,
            check=False, env=os.environ | ({"PATH": path} if path is not None else {}),
        )  # fmt: skip

    return run


@contextlib.contextmanager
def started(
    *args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """Start the command as a terminal would; whatever becomes of the test, it is ended.

    Under a runner that was itself started in the background SIGINT is ignored, and
    children inherit that: here it is as it is for a user.
    """
    process = subprocess.Popen(
        losttick_command(*args), cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def host_with_qemu(suite: str | None) -> LocalHost:
    """This machine with the QEMU of a Debian suite, or with its own."""
    if suite is None:
        return LocalHost()
    try:
        tree = unpack(suite, ["qemu-system-x86"])
    except PackagesError as error:
        pytest.skip(f"needs the QEMU of Debian {suite}: {error}")
    binary, prefix = tree.command("usr/bin/qemu-system-x86_64")
    return LocalHost(binary, qemu_prefix=prefix)


async def campaign(
    host: LocalHost, facts: HostFacts, out: Path, accel: Accel, trials: int, **axes: object
) -> CellResult:
    """Run one cell, with a loss rate to rule out that the trials suffice for."""
    plan = build_plan(
        {
            "axes": {"accel": accel, "period_ms": 10, **axes},
            "limits": {"trials": trials, "rule_out": min(0.99, 3 / trials)},
        },
        "test",
    )
    out.mkdir(exist_ok=True)
    (cell,) = (await run_plan(host, facts, plan, accel, out)).cells
    print(cell.cell.id, dict(cell.campaign.outcomes), cell.why)
    return cell


def assert_clean(cell: CellResult, trials: int) -> None:
    assert cell.verdict is Verdict.CLEAN, cell.why
    assert cell.campaign.outcomes.total() == trials
    assert cell.campaign.outcomes[Outcome.LOST] == 0
    assert len(cell.campaign.controls) == 2
    for control in cell.campaign.controls:
        assert control.seen, control.sentence
        if cell.cell.mode is not TimerMode.PERIODIC:
            assert control.cause is Cause.LOST_INTERRUPT, control.sentence


def losttick_command(*args: str) -> Sequence[str]:
    return [sys.executable, "-m", "orchestrator", *args]
