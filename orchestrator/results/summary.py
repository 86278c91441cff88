"""A run as one object: what `--json` prints."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

from orchestrator.campaign.run import CellResult, RunResult
from orchestrator.host.facts import HostFacts
from orchestrator.results.journal import plain


def summary(run: RunResult) -> dict[str, Any]:
    """Return a run's verdict, host and cells as plain data.

    `exposure` is that of the first cell with the run's verdict; each cell has its own.
    """
    telling = next((c for c in run.cells if c.verdict is run.verdict), run.cells[0])
    return {
        "verdict": run.verdict.value,
        "exposure": plain(telling.exposure),
        "host": _host(run.facts),
        "seed": run.seed,
        "cells": [_cell(result) for result in run.cells],
        "journal": str(run.journal),
    }


def _host(facts: HostFacts) -> dict[str, Any]:
    host: dict[str, Any] = plain(facts)
    if host["qemu"]:
        del host["qemu"]["commands"]
    return host


def _cell(result: CellResult) -> dict[str, Any]:
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
        "loss_rate": plain(result.rate),
        "first_tick_periods": spread(campaign.first_tick_periods),
        "first_tick_ms": spread(campaign.first_tick_ms),
        "controls": plain(campaign.controls),
        # A cell that ran on this machine does not repeat what the run says of it.
        **({"host": _host(result.facts)} if result.cell.host else {}),
    }


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """Return the median and the 99th percentile (nearest rank), or None of nothing."""
    if not values:
        return None
    nearest = sorted(values)[math.ceil(len(values) * 0.99) - 1]
    return {"median": round(statistics.median(values), 4), "p99": round(nearest, 4)}
