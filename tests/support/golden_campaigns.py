"""Campaigns on the fake host whose course is known: `tests/golden/campaigns.json`.

The file holds what commit 017eee5 did, the last one before the package got its layout. It was
made there by the code below, with that commit's names and with its fake host in virtual time:
cells, the order of all saves and trials, phases, outcomes, causes and verdicts. `missed periods`
is newer: since then each load after a late tick is paired with a sham. To see what
the present code does, run `python -m tests.support.golden_campaigns`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from orchestrator.campaign.run import run_plan
from orchestrator.plan.load import build_plan
from orchestrator.results.summary import summary
from orchestrator.testing import (
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
from orchestrator.vm.config import Accel
from tests.support.journal import journal_dicts
from tests.support.places import GOLDEN
from tests.support.virtual_time import in_virtual_time

FILE = GOLDEN / "campaigns.json"

#: A plan of several cells that take turns, with chosen and drawn phases.
SEVERAL_CELLS = {
    "seed": 20261126,
    "controls": 2,
    "axes": {
        "period_ms": 100,
        "mode": ["one-shot", "periodic"],
        "phase": ["random", "0.2-0.8", 0.3],
        "method": ["hmp", "exec"],
        "vcpus": [1, 2],
        "loads_per_save": 2,
    },
    "limits": {"trials": 6, "rule_out": 0.5},
}

ONE_CELL = {"seed": 1, "axes": {"period_ms": 100}, "limits": {"trials": 4, "rule_out": 0.6}}


def changed(**fields: object) -> Behaviour:
    """Return a behaviour that loses the interrupt, then sets fields of the vCPU."""

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        vcpu.due_ns = None
        for name, value in fields.items():
            setattr(vcpu, name, value)

    return on_load


def after(periods: int) -> Behaviour:
    """Return a behaviour whose first tick comes some periods after the load."""

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        vcpu.due_ns = vcpu.ran_ns + periods * qemu.period_ns

    return on_load


BEHAVIOURS: Mapping[str, Behaviour] = {
    "immediate": immediate,
    "full period": full_period,
    "remaining": remaining,
    "lost": only_in_trials(lost),
    "lost in controls, too": lost,
    "timer not restored": only_in_trials(changed(tmict=0)),
    "another count restored": only_in_trials(changed(tmict=12345)),
    "interrupts off": only_in_trials(changed(flags=0x46)),
    "LVTT masked": only_in_trials(changed(lvtt=0x10040)),
    "pending until info lapic": only_in_trials(changed(pending="info lapic")),
    "pending until an NMI": only_in_trials(changed(pending="inject-nmi")),
    "pending for ever": only_in_trials(changed(pending="never")),
    "vCPU halted": only_in_trials(changed(halted=True)),
    "silent console": only_in_trials(changed(mute=True, due_ns=0)),
    "missed periods": only_in_trials(after(3)),
    "recovered": only_in_trials(after(11)),
}


def course(plan: Mapping[str, Any], script: Script) -> dict[str, Any]:
    """Run a plan on the fake host; return what must not change."""

    async def main(out: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        built = build_plan(dict(plan), "golden")
        result = await run_plan(FakeHost(script), built, Accel.KVM, out)
        return summary(result), journal_dicts(result.journal)

    with TemporaryDirectory() as out:
        found, records = in_virtual_time(lambda: main(Path(out)))
    return {
        "verdict": found["verdict"],
        "cells": [
            {name: cell[name] for name in ("id", "verdict", "trials", "outcomes", "diagnoses")}
            for cell in found["cells"]
        ],
        "saves": [
            [record["cell"], record["role"], record["intended_phase"]]
            for record in records
            if record["record"] == "save" and record["eligible"]
        ],
        "trials": [
            [record["cell"], record["role"], record["outcome"]]
            for record in records
            if record["record"] == "trial"
        ],
    }


def courses() -> dict[str, object]:
    """Run every campaign."""
    return {
        "several cells": course(SEVERAL_CELLS, Script(immediate)),
        **{name: course(ONE_CELL, Script(each)) for name, each in BEHAVIOURS.items()},
    }


if __name__ == "__main__":
    print(json.dumps(courses(), indent=1))
