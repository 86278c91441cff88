"""The live run, `losttick show` and `--resume` count alike, whatever happened to the run.

Runs of many kinds are drawn: cells, behaviours, interruptions, resumption here and on
another host. At drawn records the table of the live run is kept, beside the length of the
journal. The journals are then cut at random bytes after these records: what a cut journal
shows must be what the live run would have printed when it had written the last whole line.
"""

import asyncio
import contextlib
import io
import json
import random
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from orchestrator.campaign.resume import read_run
from orchestrator.campaign.run import run_plan
from orchestrator.cli.phases import print_phases
from orchestrator.cli.run_table import print_run
from orchestrator.cli.screen import Screen
from orchestrator.journal.fold import RunState, read_state
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import Record
from orchestrator.plan.load import build_plan
from orchestrator.plan.plan import Plan
from orchestrator.results.result import read_result
from orchestrator.results.summary import summary
from orchestrator.testing import (
    FACTS,
    FakeHost,
    FakeQemu,
    FakeVcpu,
    Script,
    full_period,
    immediate,
    lost,
    only_in_trials,
    remaining,
)
from orchestrator.testing.script import Behaviour
from orchestrator.verdict.run import RunResult, judge_run
from orchestrator.vm.config import Accel

RUNS, CUTS = 25, 8

#: Share of the records after which the live run is looked at, beside the first one: to compute
#: all verdicts takes longer than the run.
SHARE = 0.1

#: Records before which a journal is not yet that of a run: run, host, plan.
HEADS = 3


def missed(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
    vcpu.due_ns = vcpu.ran_ns + 3 * qemu.period_ns


def recovered(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
    vcpu.due_ns = vcpu.ran_ns + 11 * qemu.period_ns


def halted(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
    vcpu.halted = True


def drawn_behaviour(rng: random.Random) -> Behaviour:
    plain = rng.choice([immediate, full_period, remaining])
    bad = rng.choice([lost, lost, missed, recovered, halted])
    share = rng.choice([0.0, 0.2, 0.5, 1.0])

    def behave(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        (bad if rng.random() < share else plain)(qemu, vcpu, number)

    return only_in_trials(behave)


def drawn_plan(rng: random.Random) -> Plan:
    return build_plan(
        {
            "axes": {
                "accel": rng.sample(["kvm", "tcg"], rng.choice([1, 1, 2])),
                "mode": rng.sample(["one-shot", "periodic", "tsc-deadline"], rng.choice([1, 2])),
                "irqchip": rng.sample(["on", "split"], rng.choice([1, 1, 2])),
                "vcpus": rng.choice([1, 1, 2]),
                "loads_per_save": rng.choice([1, 3, 25]),
                "phase": rng.choice(["random", "0.2-0.8"]),
                "period_ms": 100,
            },
            "limits": {
                "trials": rng.choice([2, 5, 8]), "rule_out": 0.5,
                **rng.choice([{}, {}, {"seconds": 1.5}, {"stop_after": 2}]),
            },
            "controls": rng.choice([0, 1, 2, 2]),
            "seed": rng.randrange(100),
        },
        "test",
    )  # fmt: skip


def printed(run: RunResult) -> str:
    """Return what a run prints: the tables and the JSON object."""
    text = io.StringIO()
    screen = Screen(Console(file=text, width=80))
    print_run(screen, run)
    print_phases(screen, run)
    return text.getvalue() + json.dumps(summary(run), indent=2)


def counts(state: RunState) -> dict[str, Any]:
    """Return what a resumed run goes on from."""
    whole = (state.instances, state.seed, state.auto, state.guests, state.facts)
    return {"": whole} | {
        name: (
            dict(cell.outcomes), cell.attempts, cell.unknown_attempts, cell.saves,
            dict(cell.causes), dict(cell.lost_by_vcpu), cell.bug_losses, list(cell.controls),
            list(cell.by_save.loads), bytes(cell.by_save.lost), cell.ended, cell.facts,
        )
        for name, cell in state.cells.items()
    }  # fmt: skip


@dataclass
class Seen:
    """What the live run would have printed after each record, and what it had counted."""

    records: int = 0
    """Written so far."""
    stop_at: int = 0
    """The record after which the run is cancelled."""
    task: "asyncio.Task[RunResult] | None" = None
    """The run."""
    at: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    seen, write, rng = Seen(), Recorder.write, random.Random(0)

    def write_and_look(recorder: Recorder, record: Record) -> None:
        write(recorder, record)
        journal = recorder._journal.path
        seen.records += 1
        if seen.records >= HEADS and (not seen.at or rng.random() < SHARE):
            live = printed(judge_run(recorder.state, journal))
            seen.at.append((journal.stat().st_size, live, counts(recorder.state)))
        if seen.records == seen.stop_at:
            assert seen.task is not None
            seen.task.cancel()

    monkeypatch.setattr(Recorder, "write", write_and_look)
    return seen


async def run(rng: random.Random, out: Path, seen: Seen) -> RunResult | None:
    """Run a drawn plan, perhaps interrupted and resumed, here or on another host."""
    plan, facts = drawn_plan(rng), FACTS
    interruptions = rng.choice([0, 0, 1, 1, 2])
    for session in range(interruptions + 1):
        cut = session < interruptions
        seen.stop_at = seen.records + rng.randrange(HEADS + 1, 60) if cut else 0
        host = FakeHost(Script(drawn_behaviour(rng)), facts)
        resumed = read_run(out) if session else None
        seen.task = asyncio.create_task(run_plan(host, plan, Accel.KVM, out, resumed=resumed))
        with contextlib.suppress(asyncio.CancelledError):
            return await seen.task
        if b'{"record":"verdict"' in (out / "journal.jsonl").read_bytes():
            return judge_run(read_state(out / "journal.jsonl"), out / "journal.jsonl")
        facts = rng.choice([facts, replace(FACTS, kernel=f"6.{session}.0-other")])
    return None


@pytest.mark.parametrize("number", range(RUNS))
async def test_live_show_and_resume_agree(number: int, tmp_path: Path, seen: Seen) -> None:
    rng = random.Random(number)
    (out := tmp_path / "out").mkdir()
    finished = await run(rng, out, seen)
    journal = out / "journal.jsonl"
    whole = journal.read_bytes()
    if finished:
        assert printed(read_result(out)) == printed(finished)
        assert read_run(out).finished
    (out / "evidence").mkdir(exist_ok=True)  # it is named where it is
    for size, live, counted in random.Random(number).choices(seen.at, k=CUTS):
        next_line = whole[size:].partition(b"\n")[0]
        journal.write_bytes(whole[: size + rng.randint(0, len(next_line))])
        assert without_places(printed(read_result(out))) == without_places(live)
        if b'"record":"verdict"' not in journal.read_bytes():
            assert counts(read_run(out)) == counted


def without_places(text: str) -> str:
    """Return what was printed without the folder of the evidence, which may not be there yet."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("evidence:"))


def test_the_runs_are_of_many_kinds() -> None:
    """A draw without losses, or of one cell, would prove little."""
    plans = [drawn_plan(random.Random(number)) for number in range(RUNS)]
    assert {len(plan.cells(Accel.KVM)) for plan in plans} >= {1, 2, 4}
    assert {vcpus for plan in plans for vcpus in plan.axes.vcpus} == {1, 2}
    assert RUNS * CUTS >= 200
