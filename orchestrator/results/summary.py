"""A run as one object, as `--json` prints it."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from orchestrator.bugs.catalogue import APICV_BUG
from orchestrator.bugs.likeness import Likeness
from orchestrator.findings.lab import LabIdentity
from orchestrator.host.facts import HostFacts
from orchestrator.journal.control import Control
from orchestrator.journal.pairing import Pairing
from orchestrator.journal.phases import PhaseBin
from orchestrator.journal.plain import plain
from orchestrator.results.meaning import cell_meaning, explained, meaning
from orchestrator.verdict.run import CellResult, RunResult
from orchestrator.verdict.verdict import Verdict


def summary(run: RunResult) -> dict[str, Any]:
    """Return a run's verdict, host and cells as plain data.

    The run's `exposure` is the exposure of its telling cell.
    """
    return {
        "verdict": run.verdict.value,
        "meaning": meaning(run),
        "exposure": plain(run.telling.exposure),
        "host": _host(run.facts),
        "seed": run.seed,
        "statement": run.statement,
        "changed": list(run.changed),
        "interrupted": run.interrupted,
        "went_down": run.went_down or None,
        "cells": [_cell(result, run) for result in run.cells],
        "journal": str(run.journal),
    }


def _host(facts: HostFacts) -> dict[str, Any]:
    host: dict[str, Any] = plain(facts)
    if host["qemu"]:
        del host["qemu"]["commands"]
    return host


def _cell(result: CellResult, run: RunResult) -> dict[str, Any]:
    counts = result.counts
    return {
        "id": result.cell.id,
        "verdict": result.verdict.value,
        "why": result.why,
        "lacks": counts.lacks,
        "skip_accepted": result.accepted,
        "meaning": cell_meaning(result),
        "period_ms": counts.period_ns and counts.period_ns / 1e6,
        "periods_tried": plain(counts.periods_tried),
        "exposure": plain(result.exposure),
        "trials": counts.trials,
        "attempts": counts.attempts,
        "unknown_attempts": counts.unknown_attempts,
        "saves": counts.saves,
        "expired_saves": counts.expired_saves,
        "kvmclock_saves": counts.kvmclock_saves,
        "lossy_saves": counts.lossy_saves,
        "outcomes": plain(counts.outcomes),
        "classes": plain(result.classes),
        "diagnoses": plain(counts.causes),
        "in_words": explained(result),
        "witnesses": plain(result.witnesses),
        "direct_test": plain(counts.direct_test),
        "known_bugs": [_likeness(each) for each in known_bugs(result)],
        "lost_by_vcpu": plain(counts.lost_by_vcpu),
        "loss_rate": plain(result.rate),
        "first_tick_periods": spread(counts.first_tick_periods),
        "first_tick_ms": spread(counts.first_tick_ms),
        "controls": [_control(each) for each in counts.controls],
        "pairs": _pairs(counts.pairing),
        "phases": [_phase(found) for found in counts.phases.bins],
        **({"lab": _lab(result.lab, result.expected)} if result.lab else {}),
        # A cell names its host only if it was counted on another host or with another QEMU.
        **({"host": _host(result.facts)} if result.facts != run.facts else {}),
    }


def known_bugs(result: CellResult) -> list[Likeness]:
    """Return the bug that makes a cell `affected`, and the bugs that trials look like."""
    found = list(result.likenesses)
    if result.verdict is Verdict.AFFECTED:
        found.insert(0, Likeness(APICV_BUG, result.counts.bug_losses, result.exposure))
    return found


def _likeness(found: Likeness) -> dict[str, Any]:
    return {
        "name": found.bug.name,
        "trials": found.trials,
        "exposure": plain(found.exposure),
        "affected_kernels": found.bug.affected_kernels,
        "fixed_by": found.bug.fixed_by,
        "advice": found.bug.advice,
    }


def _control(control: Control) -> dict[str, Any]:
    found: dict[str, Any] = plain(control)
    if not control.unrestored:
        del found["unrestored"]
    return found


def _pairs(pairing: Pairing) -> dict[str, Any] | None:
    """Return the pairs of a load and a sham; None if no tick came late."""
    if not pairing.began:
        return None
    counts = pairing.counts
    return {
        "pairs": counts.pairs,
        "only_load_late": counts.treated_only,
        "only_sham_late": counts.untreated_only,
        "shams": plain(pairing.shams),
    }


def _lab(lab: LabIdentity, expected: str | None) -> dict[str, Any]:
    found: dict[str, Any] = plain(replace(lab, expected=expected))
    return found | {"boot_s": lab.boot_s and round(lab.boot_s, 1)}


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
    """Return the median and the 99th percentile (nearest rank), or None without values."""
    if not values:
        return None
    nearest = sorted(values)[math.ceil(len(values) * 0.99) - 1]
    return {"median": round(statistics.median(values), 4), "p99": round(nearest, 4)}
