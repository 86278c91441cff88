"""A run as one object: what `--json` prints."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

from orchestrator.campaign.run import CellResult, RunResult
from orchestrator.host.facts import HostFacts
from orchestrator.journal.file import read_journal
from orchestrator.journal.plain import plain
from orchestrator.results.phases import PhaseBin, by_phase


def summary(run: RunResult) -> dict[str, Any]:
    """Return a run's verdict, host and cells as plain data.

    `exposure` is that of the first cell with the run's verdict; each cell has its own.
    """
    phases = by_phase(read_journal(run.journal))
    telling = next((c for c in run.cells if c.verdict is run.verdict), run.cells[0])
    return {
        "verdict": run.verdict.value,
        "exposure": plain(telling.exposure),
        "host": _host(run.facts),
        "seed": run.seed,
        "statement": run.statement,
        "changed": list(run.changed),
        "cells": [_cell(result, run, phases.get(result.cell.id, [])) for result in run.cells],
        "journal": str(run.journal),
    }


def _host(facts: HostFacts) -> dict[str, Any]:
    host: dict[str, Any] = plain(facts)
    if host["qemu"]:
        del host["qemu"]["commands"]
    return host


def _cell(result: CellResult, run: RunResult, phases: Sequence[PhaseBin]) -> dict[str, Any]:
    campaign = result.campaign
    return {
        "id": result.cell.id,
        "verdict": result.verdict.value,
        "why": result.why,
        "exposure": plain(result.exposure),
        "trials": campaign.outcomes.total(),
        "attempts": campaign.attempts,
        "unknown_attempts": campaign.unknown_attempts,
        "saves": campaign.saves,
        "lossy_saves": campaign.lossy_saves,
        "outcomes": plain(campaign.outcomes),
        "diagnoses": plain(campaign.causes),
        "lost_by_vcpu": plain(campaign.lost_by_vcpu),
        "loss_rate": plain(result.rate),
        "first_tick_periods": spread(campaign.first_tick_periods),
        "first_tick_ms": spread(campaign.first_tick_ms),
        "controls": plain(campaign.controls),
        "phases": [_phase(found) for found in phases],
        # A cell that ran on this machine, with the QEMU of the run, does not repeat them.
        **({"host": _host(result.facts)} if result.facts is not run.facts else {}),
    }


def _phase(found: PhaseBin) -> dict[str, Any]:
    return {
        "from": found.low,
        "to": found.high,
        "expired": found.expired,
        "saves": found.saves,
        "trials": found.trials,
        "outcomes": plain(found.outcomes),
        "first_tick_periods": spread(found.first_tick_periods),
    }


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """Return the median and the 99th percentile (nearest rank), or None of nothing."""
    if not values:
        return None
    nearest = sorted(values)[math.ceil(len(values) * 0.99) - 1]
    return {"median": round(statistics.median(values), 4), "p99": round(nearest, 4)}
