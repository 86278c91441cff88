"""What the harness costs. Run alone on the machine: `tox -e bench`."""

import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.guest.config import GuestConfig
from orchestrator.host.local import open_host
from orchestrator.host.qemu_binary import find_qemu
from orchestrator.snapshot.hmp import HmpSnapshots
from orchestrator.snapshot.method import Method
from orchestrator.snapshot.needs import with_needs
from orchestrator.snapshot.table import MethodMissingError, snapshots
from orchestrator.trial.aim import Saver
from orchestrator.trial.limits import Limits
from orchestrator.trial.load import Trial
from orchestrator.trial.pace import Paces
from orchestrator.vm.argv import DISK_FILE, qemu_args
from orchestrator.vm.config import Accel, InstanceConfig
from orchestrator.vm.launch import launch
from orchestrator.vm.tryout import why_not
from tests.support.needs import not_applicable

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]

LOADS = 25
BLOCKS = 12


async def accelerator() -> Accel:
    async with open_host() as host:
        return Accel.TCG if await why_not(host, Accel.KVM) else Accel.KVM


class Bare:
    """The bare loop, in its own process."""

    def __init__(self, config: InstanceConfig, disk: bytes, tmp_path: Path) -> None:
        files = {**config.program.files, DISK_FILE: disk}
        paths = {}
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
            paths[name] = str(tmp_path / name)
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("bare.py")),
             json.dumps([find_qemu(None), *qemu_args(config)]), str(LOADS),
             str(config.guest.period_ns / 1e9), json.dumps(paths)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        assert self._read() == "ready"

    def _read(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def block_s(self) -> float:
        assert self._process.stdin
        self._process.stdin.write("\n")
        return float(self._read())

    def close(self) -> None:
        self._process.communicate(timeout=10)


@pytest.mark.parametrize("period_ms", [20, 5])
async def test_the_trial_loop_beside_a_bare_loop(period_ms: int, tmp_path: Path) -> None:
    """Figures to reach: 0.85 of the bare loop's trials per second at 5 ms, 0.92 at 20 ms."""
    period_ns = period_ms * 1_000_000
    config = InstanceConfig(await accelerator(), GuestConfig(period_ns=period_ns))
    limits, paces, snapshots = Limits(period_ns), Paces(), HmpSnapshots()
    ratios, rates = [], []
    async with open_host() as host, launch(host, config) as instance:
        bare = Bare(config, await host.empty_disk(), tmp_path)
        saver = Saver(instance, snapshots, paces, limits)
        save, _ = await saver.take("bench", 0.5)
        for _ in range(BLOCKS):
            bare_s = bare.block_s()
            began = time.perf_counter()
            for _ in range(LOADS):
                result = await Trial(instance, snapshots, save, paces, limits).run()
                assert result.outcome.ticked, result
            ours_s = time.perf_counter() - began
            await instance.stop()
            ratios.append(bare_s / ours_s)
            rates.append((LOADS / bare_s, LOADS / ours_s))
    bare.close()
    print(
        f"\n{config.accel}, period {period_ms} ms: "
        f"bare {statistics.median(r[0] for r in rates):.1f} trials/s, "
        f"losttick {statistics.median(r[1] for r in rates):.1f} trials/s; ratio of "
        f"{BLOCKS} paired blocks of {LOADS}: median {statistics.median(ratios):.3f}, "
        f"{min(ratios):.3f} to {max(ratios):.3f}"
    )


def cpu_s() -> float:
    """CPU time of this process and of all that it started and that has ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


@pytest.mark.parametrize("method", list(Method))
async def test_a_new_qemu_per_trial(method: Method) -> None:
    """Figure to reach: at least 8 trials per second of a core."""
    limits, paces = Limits(10_000_000), Paces()
    try:
        async with open_host() as host:
            way = snapshots(method, host.facts.need_qemu())
    except MethodMissingError as error:
        not_applicable(str(error))
    if not way.new_process:
        not_applicable("it loads in the QEMU that runs")
    guest = GuestConfig(period_ns=limits.period_ns)
    config = with_needs(InstanceConfig(await accelerator(), guest), way)
    trials = 100
    async with open_host() as host, launch(host, config) as instance:
        save, _ = await Saver(instance, way, paces, limits).take("bench", 0.5)
        began, spent = time.perf_counter(), cpu_s()
        for _ in range(trials):
            result = await Trial(instance, way, save, paces, limits).run()
            assert result.outcome.ticked, result
        wall, cpu = time.perf_counter() - began, cpu_s() - spent
        size = len(instance.states[save.tag])
    print(
        f"\n{config.accel}, {method}: {trials / wall:.1f} trials/s, {trials / cpu:.1f} per second "
        f"of CPU time; a state of {size / 1024:.0f} KiB"
    )


async def test_memory_over_20000_trials() -> None:
    """Figure to reach: flat."""
    period_ns = 5_000_000
    config = InstanceConfig(await accelerator(), GuestConfig(period_ns=period_ns))
    limits, paces, snapshots = Limits(period_ns), Paces(), HmpSnapshots()
    print()
    async with open_host() as host, launch(host, config) as instance:
        save, _ = await Saver(instance, snapshots, paces, limits).take("bench", 0.5)
        for trial in range(20_001):
            if trial % 4000 == 0 or trial == 500:
                rss = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf(
                    "SC_PAGE_SIZE"
                )
                print(f"after {trial:6d} trials: {rss / 1e6:.2f} MB resident")
            await Trial(instance, snapshots, save, paces, limits).run()


async def test_first_tick_after_the_start_of_qemu() -> None:
    """Figure to reach: 100 ms, the first period included."""
    config = InstanceConfig(await accelerator())
    took = []
    for _ in range(15):
        async with open_host() as host, launch(host, config) as instance:
            arrived = await instance.console.next_line(2_000_000_000)
            assert arrived is not None
            took.append((arrived[1] - instance.started_ns) / 1e6)
    took.sort()
    print(
        f"\n{config.accel}: first tick {statistics.median(took):.1f} ms after QEMU's start "
        f"(median of {len(took)}; {took[0]:.1f} to {took[-1]:.1f}), of which 20 ms are the period"
    )


def test_the_probe() -> None:
    """Figure to reach: 8,000 trials a second, 100,000 trials."""
    command = [sys.executable, "-m", "orchestrator", "probe", "--tmcct", "0", "--json"]
    done = subprocess.run(
        [*command, "--trials", "100000"], capture_output=True, text=True, check=False
    )
    if done.returncode == 3:
        not_applicable(done.stderr)
    (host,) = json.loads(done.stdout)["hosts"]
    (series,) = host["series"]
    print(f"\nlosttick probe: {series['trials'] / series['seconds']:,.0f} trials/s")


def timed(*args: str) -> float:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "orchestrator", *args],
        check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return time.perf_counter() - began


def test_help() -> None:
    """Figure to reach: 0.25 s."""
    took = sorted(timed("--help") for _ in range(10))
    print(f"\nlosttick --help: median {took[5]:.3f} s, {took[0]:.3f} to {took[-1]:.3f}")


def test_a_run_with_defaults(tmp_path: Path) -> None:
    """Figure to reach: 8 s on an idle host where KVM works."""
    took = [timed("run", "--out", str(tmp_path / str(n))) for n in range(3)]
    accel = asyncio.run(accelerator())
    print(f"\nlosttick run ({accel}): {', '.join(f'{s:.1f}' for s in took)} s")
