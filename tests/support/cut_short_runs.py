"""A run of two cells on the fake host that is cut short, and goes on."""

import asyncio
from pathlib import Path
from typing import Any

from orchestrator.campaign.resume import read_run
from orchestrator.campaign.run import run_plan
from orchestrator.host.facts import HostFacts
from orchestrator.plan.load import build_plan
from orchestrator.plan.plan import Plan
from orchestrator.testing import FACTS, FakeHost, Script
from orchestrator.verdict.run import RunResult
from orchestrator.vm.config import Accel
from tests.support.journal import journal_dicts

PLAN = build_plan(
    {
        "axes": {"period_ms": 100, "loads_per_save": [2, 3]},
        "limits": {"trials": 4, "rule_out": 0.6},
        "seed": 3,
        "controls": 1,
    },
    "test",
)


async def go_on(
    out: Path, script: Script, facts: HostFacts = FACTS, plan: Plan = PLAN
) -> RunResult:
    host = FakeHost(script, facts)
    return await run_plan(
        host, plan, Accel.KVM, out, resumed=read_run(out) if any(out.iterdir()) else None
    )


async def cut_short(
    out: Path, script: Script, kind: str, count: int, facts: HostFacts = FACTS, plan: Plan = PLAN
) -> list[dict[str, Any]]:
    """Run until so many records of a kind, controls left out, are in the journal; cancel."""
    task = asyncio.create_task(go_on(out, script, facts, plan))
    journal = out / "journal.jsonl"
    size = 0
    async with asyncio.timeout(60):
        while True:
            records = []
            if journal.exists() and journal.stat().st_size > size:
                size = journal.stat().st_size
                records = journal_dicts(journal)
            if sum(r["record"] == kind and r.get("role") != "control" for r in records) >= count:
                break
            assert not task.done(), task.result()
            await asyncio.sleep(0.002)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    with journal.open("a") as end:
        end.write('{"record":"trial","at":"torn by a ki')
    return journal_dicts(journal)


def trials(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [r for r in records if r["record"] == "trial" and r["role"] == "host"]
