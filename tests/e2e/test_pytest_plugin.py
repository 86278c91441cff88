"""The pytest plugin with a real QEMU: machines, skips, and that nothing outlives a test."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.vm.config import Accel
from tests.support.command_here import valid_junit
from tests.support.places import DOCS
from tests.support.plugin_projects import project
from tests.support.processes import marked_processes, wait_until
from tests.support.shim import shim_environment

#: Campaigns do not wait for a calmer host.
AT_EASE = """
from orchestrator.host.local import LocalHost


async def at_ease(host):
    return 0.0


LocalHost.pressure_percent = at_ease
"""

MACHINES = """
import pytest

ACCEL = "{accel}"


def test_machine(losttick_machine, losttick_methods):
    machine = losttick_machine(accel=ACCEL, period_ms=20, spawns=True)
    other = losttick_machine(accel=ACCEL, mode="periodic")
    assert machine.next_tick()
    for method in ("hmp", "exec"):
        assert method in losttick_methods
        machine.save("here", method)
        machine.load("here", method)
        saved = machine.guest_state().ticks
        assert machine.run_state() != "running"
        machine.cont()
        tick = machine.next_tick()
        assert tick is not None
        assert saved <= tick.sequence <= saved + 1
    assert machine.execute("query-status")["running"]
    assert other.run(lambda instance: instance.vcpu_cpu_ns()) > 0
    other.kill()


async def test_awaited(losttick_async_machine):
    instance = await losttick_async_machine(accel=ACCEL)
    assert (await instance.next_tick()).sequence > 0


def test_raises(losttick_machine):
    losttick_machine(accel=ACCEL)
    raise ValueError("the test's own fault")


async def test_raises_awaited(losttick_async_machine):
    await losttick_async_machine(accel=ACCEL)
    raise ValueError("the test's own fault")


@pytest.mark.timeout(6)
def test_hangs(losttick_machine):
    machine = losttick_machine(accel=ACCEL)
    machine.stop()
    while machine.next_tick(within_s=1000):  # some were heard before
        pass


@pytest.mark.timeout(6)
async def test_hangs_awaited(losttick_async_machine):
    instance = await losttick_async_machine(accel=ACCEL)
    await instance.stop()
    while await instance.next_tick(within_ns=10**12):
        pass


def test_leaves_none():
    from pathlib import Path

    tasks = Path("/proc/self/task").iterdir()
    children = [pid for task in tasks for pid in (task / "children").read_text().split()]
    running = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children]
    assert not [each for each in running if b"supervisor" in each]
"""


def test_machines_end_with_their_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, best_accel: Accel
) -> None:
    tests = MACHINES.replace("{accel}", best_accel)
    project(pytester, monkeypatch, test_machines=tests)
    done = pytester.runpytest_subprocess("--losttick-artefacts=kept", timeout=100)
    done.assert_outcomes(passed=3, failed=4)
    said = done.stdout.str()
    assert said.count("Timeout (>6.0s)") >= 2
    kept = sorted((pytester.path / "kept").iterdir())
    names = ("hangs", "hangs_awaited", "raises", "raises_awaited")
    for name, folder in zip(names, kept, strict=True):
        assert f"-test_{name}-" in folder.name
        assert f"{folder}/machine-1" in said
        argv = (folder / "machine-1" / "qemu.txt").read_text().splitlines()
        assert Path(argv[0]).name.startswith("qemu-system")
        assert (folder / "machine-1" / "console.log").stat().st_size > 0


FOR_EVER = """
import time


def test_for_ever(losttick_machine):
    losttick_machine(accel="{accel}")
    print("started", flush=True)
    time.sleep(3600)
"""


def test_a_killed_pytest_leaves_nothing(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    best_accel: Accel,
    nothing_left_behind: str,
) -> None:
    project(pytester, monkeypatch, test_ever=FOR_EVER.format(accel=best_accel))
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-s"], cwd=pytester.path, stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            assert running.stdout
            assert any(line.strip().endswith("started") for line in running.stdout)
            processes = marked_processes(nothing_left_behind).values()
            assert any("qemu-system" in each for each in processes)
        finally:
            running.send_signal(signal.SIGKILL)
    assert wait_until(lambda: not marked_processes(nothing_left_behind), 20)


SKIPS = """
import pytest


def test_host(losttick_host): ...


def test_machine(losttick_machine):
    losttick_machine()


def test_ticks(assert_ticks_survive):
    assert_ticks_survive(trials=3)


@pytest.mark.losttick(require="kvm")
def test_kvm(): ...


@pytest.mark.losttick(require=["apicv"])
def test_apicv(): ...


def test_nothing(): ...
"""


def test_without_a_qemu(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project(pytester, monkeypatch, test_skips=SKIPS)
    monkeypatch.setenv("PATH", str(tmp_path))
    done = pytester.runpytest_subprocess("-rs")
    done.assert_outcomes(passed=1, skipped=5)
    words = "QEMU: looking for QEMU: there is no qemu-system-x86_64 on PATH*apt-get install*"
    done.stdout.fnmatch_lines(f"SKIPPED*{words}")
    done = pytester.runpytest_subprocess("--losttick-must-run", "-k", "host")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(f"{words}(--losttick-must-run allows no skip)")
    done = pytester.runpytest_subprocess("--losttick-qemu=/nowhere/qemu", "-k", "host")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines("--losttick-qemu: *'/nowhere/qemu' is not an executable file")


#: What a host without KVM, with a closed /dev/kvm, or without APICv has for facts.
OTHER_HOSTS = """
from dataclasses import replace

from orchestrator.host import local
from orchestrator.pytest_plugin import session

read = local.read_facts


def read_facts(*args):
    return replace(read(*args), {facts})


local.read_facts = read_facts
"""


@pytest.mark.parametrize(
    ("facts", "skipped", "words"),
    [
        ("kvm_device='absent'", {"test_kvm", "test_apicv"}, "required. /dev/kvm: absent: the mod"),
        (
            "kvm_device='Permission denied'",
            {"test_kvm", "test_apicv", "test_machine", "test_ticks"},
            "/dev/kvm: can't be opened: Permission denied",
        ),
        (
            "kvm_device='usable', vendor='GenuineIntel', vmx_flags=(), "
            "kvm_modules={'kvm_intel': {'enable_apicv': 'N'}}",
            {"test_apicv"},
            "apicv is required. APICv: kvm_intel*enable_apicv*",
        ),
    ],
    ids=["absent", "closed", "no-apicv"],
)
@pytest.mark.thorough
def test_what_a_host_lacks(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    facts: str,
    skipped: set[str],
    words: str,
) -> None:
    tests = SKIPS.replace("trials=3", "trials=3, axes={'period_ms': 20}, rule_out=0.7")
    project(
        pytester, monkeypatch, conftest=AT_EASE + OTHER_HOSTS.format(facts=facts), test_skips=tests
    )
    done = pytester.runpytest_subprocess("-rA", timeout=100)
    said = done.stdout.str()
    for name in ("test_host", "test_machine", "test_ticks", "test_kvm", "test_apicv"):
        assert (f"PASSED test_skips.py::{name}" not in said) == (name in skipped), name
    assert done.parseoutcomes().get("skipped") == len(skipped)
    done.stdout.fnmatch_lines(f"SKIPPED*{words}*")


TURNS = """
import asyncio
import time
from pathlib import Path

import pytest

from orchestrator.errors import UnfitError
from orchestrator.pytest_plugin import survive


@pytest.mark.parametrize("number", range(6))
def test_campaign(assert_ticks_survive, number, monkeypatch):
    async def run_plan(*args, **kwargs):
        began = time.monotonic()
        await asyncio.sleep(0.3)
        Path(f"{number}.times").write_text(f"{began} {time.monotonic()}")
        raise UnfitError("it has run")

    monkeypatch.setattr(survive, "run_plan", run_plan)
    assert_ticks_survive(accel="tcg")
"""


@pytest.mark.thorough
def test_campaigns_of_workers_take_turns(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(pytester, monkeypatch, test_turns=TURNS)
    pytester.runpytest_subprocess("-n", "2", timeout=100).assert_outcomes(skipped=6)
    found = [path.read_text().split() for path in pytester.path.glob("*.times")]
    times = sorted((float(began), float(ended)) for began, ended in found)
    assert len(times) == 6
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(times))


def example(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Copy the project in the docs; its campaigns do not wait for a calmer host."""
    project(pytester, monkeypatch, at_ease=AT_EASE)
    pytester.path.joinpath("pytest.ini").unlink()
    shutil.copytree(DOCS / "pytest-example", pytester.path, dirs_exist_ok=True)
    monkeypatch.setenv("PYTHONPATH", f"{os.environ['PYTHONPATH']}:{pytester.path}")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p at_ease -p no:cacheprovider")
    return pytester


def test_a_test_of_the_example(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, best_accel: Accel
) -> None:
    done = example(pytester, monkeypatch).runpytest_subprocess("-k", "the_guest_ticks_on")
    done.assert_outcomes(passed=1, deselected=12)


@pytest.mark.thorough
@pytest.mark.alone
def test_the_example(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, best_accel: Accel
) -> None:
    done = example(pytester, monkeypatch).runpytest_subprocess("--junitxml=junit.xml", timeout=100)
    told = done.parseoutcomes()
    assert told.get("failed", 0) == told.get("errors", 0) == 0
    assert told["passed"] >= 4
    assert told["passed"] + told.get("skipped", 0) == 13
    valid_junit((pytester.path / "junit.xml").read_text())


#: A host whose KVM loses the timer of every load.
LOSSY = """
import asyncio

import pytest

from orchestrator import open_host


@pytest.fixture
def losttick_host():
    async def find():
        async with open_host(environment={environment!r}) as host:
            return host

    return asyncio.run(find())
"""

LOSES = """
def test_loses(assert_ticks_survive):
    assert_ticks_survive(trials=4, rule_out=0.6, accel="kvm", axes={"period_ms": 20})
"""


@pytest.mark.thorough
@pytest.mark.alone
def test_a_real_loss_fails_the_test_and_its_evidence_is_kept(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, kvm: Accel, shim: Path
) -> None:
    environment = shim_environment(shim, pytester.path / "shim.log", "forget", permille=1000)
    conftest = AT_EASE + LOSSY.format(environment=environment)
    project(pytester, monkeypatch, conftest=conftest, test_loses=LOSES)
    done = pytester.runpytest_subprocess(timeout=100)
    done.assert_outcomes(failed=1)
    done.stdout.re_match_lines([
        r"E +orchestrator\.pytest_plugin\.errors\.AnomalousError: anomalous: 4 lost in 4 loads",
        r"E +kvm/one-shot/\S+: anomalous; 4 of 4 loads lost; .*controls 2 of 2 seen",
        r"E +evidence: /\S+/run-1/evidence/\S+-host-lost",
    ])  # fmt: skip
    (line, *_) = (line for line in done.outlines if "evidence: " in line)
    assert any(Path(line.rpartition(" ")[2]).iterdir())
