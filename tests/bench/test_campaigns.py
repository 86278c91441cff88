"""What whole campaigns cost. Run alone on the machine: `tox -e bench`."""

import asyncio
import datetime
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from orchestrator.campaign.resume import read_run
from orchestrator.campaign.run import run_plan
from orchestrator.findings.outcome import FirstTick, Outcome, TrialResult, VcpuResult
from orchestrator.host.qemus import LocalQemus
from orchestrator.journal.file import Journal
from orchestrator.journal.trial_record import Role, trial_record
from orchestrator.plan.load import build_plan
from orchestrator.snapshot.method import Method
from orchestrator.verdict.run import RunResult
from orchestrator.vm.config import Accel
from orchestrator.vm.tryout import why_not
from tests.support.command import losttick_command
from tests.support.records import heads, save_record

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]

MILLION = 1_000_000


async def run(out: Path, axes: dict[str, object], trials: int, parallel: int) -> RunResult:
    plan = build_plan(
        {"axes": axes, "limits": {"trials": trials, "rule_out": 0.99}, "controls": 0}, "bench"
    )
    async with LocalQemus(plan.qemus) as qemus:
        host = await qemus.first()
        auto = Accel.TCG if await why_not(host, Accel.KVM) else Accel.KVM
        out.mkdir()
        return await run_plan(host, plan, auto, out, qemus=qemus.opener, parallel=parallel)


def trials_per_s(result: RunResult) -> float:
    """From the first trial's record to the last one's."""
    records = map(json.loads, result.journal.read_text().splitlines())
    at = [
        datetime.datetime.fromisoformat(record["at"])
        for record in records
        if record["record"] == "trial"
    ]
    return (len(at) - 1) / (at[-1] - at[0]).total_seconds()


def test_two_machines_against_one(tmp_path: Path) -> None:
    """Two cells, one after the other and side by side, in turn."""
    axes: dict[str, object] = {"method": [Method.HMP], "apic": ["xapic", "x2apic"]}
    ratios = []
    for number in range(5):
        rates = []
        for parallel in (1, 2):
            result = asyncio.run(run(tmp_path / f"{number}-{parallel}", axes, 300, parallel))
            rates.append(trials_per_s(result))
        ratios.append(rates[1] / rates[0])
        print(f"one: {rates[0]:.1f} trials/s; two: {rates[1]:.1f} ({ratios[-1]:.2f} times)")
    print(f"two VMs / one: median {statistics.median(ratios):.2f} (asked: 1.5)")


def test_the_quick_plan(tmp_path: Path) -> None:
    for number in range(3):
        began = time.monotonic()
        out = str(tmp_path / str(number))
        done = subprocess.run(
            losttick_command("run", "--plan", "quick", "--out", out),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        verdict = next(
            line for line in done.stdout.splitlines() if line.startswith(("clean", "inc"))
        )
        print(f"--plan quick: {time.monotonic() - began:.1f} s (asked: 60), {verdict[:60]}")


@pytest.mark.parametrize("method", [Method.LOADVM, Method.EXEC, Method.INCOMING])
def test_a_new_qemu_for_each_trial(tmp_path: Path, method: Method) -> None:
    before = _cpu_s()
    result = asyncio.run(run(tmp_path / "out", {"method": method, "period_ms": 10}, 150, 1))
    used = _cpu_s() - before
    trials = result.cells[0].counts.outcomes.total()
    print(f"{method}: {trials_per_s(result):.1f} trials/s, {trials / used:.1f} a core (asked: 8)")


def _cpu_s() -> float:
    usages = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def test_a_million_journalled_trials(tmp_path: Path) -> None:
    """Written and read as a run does it, in a process of its own for its memory."""
    out = tmp_path / "out"
    out.mkdir()
    costs = write_million(out)
    size_mb = (out / "journal.jsonl").stat().st_size / 1e6
    tenths = ", ".join(f"{cost:.1f}" for cost in costs)
    print(f"journal: {size_mb:.0f} MB (asked: 200); us a record, by tenths: {tenths}")
    code = f"from tests.bench.test_campaigns import read_million; read_million({str(out)!r})"
    print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                         check=True).stdout)  # fmt: skip


def write_million(out: Path) -> Sequence[float]:
    """Write the journal of a run that was cut short; return the cost of a record by tenths."""
    rng = random.Random(1)
    plan = build_plan({"limits": {"trials": MILLION, "rule_out": 0.001}, "seed": 1}, "bench")
    cell = plan.cells(Accel.KVM)[0]
    costs = []
    with Journal(out / "journal.jsonl") as journal:
        for record in heads(plan):
            journal.write(record)
        for _ in range(10):
            began = time.monotonic()
            for number in range(MILLION // 10):
                if number % 25 == 0:
                    tag = f"save{number // 25 + 1}"
                    journal.write(save_record(cell, tag, rng.random()))
                first = FirstTick(rng.random() / 50, rng.random() / 9, rng.random())
                part = VcpuResult(Outcome.IMMEDIATE, first, ticks_after_load=2)
                result = TrialResult((part,), duration_ns=24_815_064)
                journal.write(trial_record(cell.id, Role.HOST, number + 1, 1, tag, result))
            costs.append((time.monotonic() - began) / MILLION * 10 * 1e6)
    return costs


def read_million(out: str) -> None:
    """Read that journal as `--resume` and `losttick show` do, and print what it took."""
    began = time.monotonic()
    state = read_run(Path(out))
    (cell,) = state.cells.values()
    took = time.monotonic() - began
    assert cell.trials == MILLION
    assert sum(found.trials for found in cell.phases.bins) == MILLION
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"read and folded in {took:.1f} s (asked: 20); memory {peak_mb:.0f} MB (asked: 300)")
