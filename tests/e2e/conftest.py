"""Real QEMU, real KVM where it works, and a check that nothing is left behind."""

import asyncio
import copy
import os
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.errors import LosttickError
from orchestrator.host import tracefs
from orchestrator.host.facts import HostFacts
from orchestrator.host.local import LocalHost, open_host
from orchestrator.process import folder
from orchestrator.vm.config import Accel
from orchestrator.vm.tryout import why_not
from tests.support.command import losttick_command
from tests.support.needs import Need, lacking
from tests.support.processes import MARKER, marked_processes, wait_until
from tests.support.shim import build_shim


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the chaos test, for whoever names the tests of this folder."""
    parser.addoption("--minutes", type=float, help="how long the chaos test makes faults")
    parser.addoption("--chaos-seed", type=int, help="the seed of its faults")


def trace_instances(base: Path) -> set[str]:
    """Return the names of the trace instances whose QEMU's folder is gone.

    A trace instance has the name of that folder. Tests that run beside this one have theirs in
    other folders below `base`.
    """
    place = tracefs.find()
    found = (place / "instances").glob(folder.PREFIX + "*") if place else ()
    return {each.name for each in found if not any(base.glob(f"*/{each.name}"))}


#: What each accelerator needs.
NEEDS = {Accel.KVM: Need.KVM, Accel.TCG: Need.QEMU}


@pytest.fixture(autouse=True)
def nothing_left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Fail a test that leaves a process or a folder; gives the marker of its processes."""
    marker = uuid.uuid4().hex
    monkeypatch.setenv(MARKER, marker)
    base = folder.base_folder()
    with tempfile.TemporaryDirectory(dir=base) as place:
        monkeypatch.setenv("XDG_RUNTIME_DIR", place)  # QEMU's folders go there
        traced = trace_instances(base)
        yield marker
        assert wait_until(lambda: not marked_processes(marker), 10), marked_processes(marker)
        assert wait_until(lambda: not any(Path(place).iterdir()), 10), list(Path(place).iterdir())
        assert wait_until(lambda: trace_instances(base) <= traced, 10), trace_instances(base)


@pytest.fixture(scope="session")
def unusable() -> dict[Accel, str | None]:
    """Why each accelerator does not work here; found by trying it."""

    async def probe() -> dict[Accel, str | None]:
        async with open_host() as host:
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
        lacking(NEEDS[chosen], why)
    return chosen


@pytest.fixture
def best_accel(unusable: dict[Accel, str | None]) -> Accel:
    """KVM where it works, else TCG."""
    return Accel.TCG if unusable[Accel.KVM] else Accel.KVM


@pytest.fixture
def kvm(unusable: dict[Accel, str | None]) -> Accel:
    """KVM, or a skip."""
    if why := unusable[Accel.KVM]:
        lacking(Need.KVM, why)
    return Accel.KVM


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shim, compiled."""
    return build_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def unpaused(monkeypatch: pytest.MonkeyPatch) -> None:
    """No campaign waits for a calmer host. Guests with more vCPUs than CPUs keep theirs busy."""

    async def at_ease(host: LocalHost) -> float:
        return 0.0

    monkeypatch.setattr(LocalHost, "pressure_percent", at_ease)


@pytest.fixture
def tracing(tmp_path: Path) -> Iterator[Path]:
    """A tracefs with KVM's events, mounted for the test if it isn't anyway."""
    if os.geteuid() != 0:
        lacking(Need.TRACEFS, "only root reads it")
    mounted = None
    if tracefs.find() is None:
        mounted = tmp_path / "tracing"
        mounted.mkdir()
        command = ["mount", "-t", "tracefs", "nodev", str(mounted)]
        if subprocess.run(command, check=False, capture_output=True).returncode != 0:
            lacking(Need.TRACEFS, "it cannot be mounted")
    found = tracefs.find()
    if found is not None:
        yield found
    if mounted:
        # Another process of this computer may have found it, and still use it.
        subprocess.run(["umount", "--lazy", str(mounted)], check=True)
    if found is None:
        lacking(Need.TRACEFS, "the kernel has no tracepoints of KVM")


@pytest.fixture(scope="session")
def opened() -> LocalHost:
    """This computer with its QEMU, which is asked only once what it is."""

    async def found() -> LocalHost:
        async with open_host() as host:
            return host

    return asyncio.run(found())


@pytest.fixture
def host(opened: LocalHost) -> LocalHost:
    """A host that the test may change."""
    return copy.copy(opened)


@pytest.fixture
def facts(host: LocalHost) -> HostFacts:
    return host.facts


@pytest.fixture
def losttick(tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run the command in a folder of its own."""

    def run(*args: str, path: str | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            losttick_command(*args), cwd=tmp_path, capture_output=True, text=True, timeout=100,
            check=False,
            env=os.environ | {"COLUMNS": "400"} | ({"PATH": path} if path is not None else {}),
        )  # fmt: skip

    return run
