"""A comparison as plain data, as `--json` prints it."""

from typing import Any

from orchestrator.journal.plain import plain
from orchestrator.results.comparison.arm import Arm, ArmCell
from orchestrator.results.comparison.compare import ERROR, TOLD, CellComparison, Comparison, Pair
from orchestrator.results.comparison.words import cell_notes, cell_sentence
from orchestrator.stats.rate import LossRate


def comparison_data(found: Comparison) -> dict[str, Any]:
    """Return a comparison as an object for JSON."""
    return {
        "runs": [_arm("A", found.first), *(_arm(pair.letter, pair.arm) for pair in found.pairs)],
        "error_rate": ERROR,
        "tests": found.tests,
        "judged_shifts": sorted(map(str, found.judged)),
        "comparisons": [_pair(pair) for pair in found.pairs],
    }


def _arm(letter: str, arm: Arm) -> dict[str, Any]:
    return {
        "letter": letter,
        "name": arm.name,
        "began_at": arm.began_at or None,
        "ended_at": arm.ended_at or None,
        "unfinished": arm.unfinished or None,
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "run": pair.letter,
        "against": "A",
        "cells": [_cell(cell, pair) for cell in pair.cells],
        "left_out": [{"cell": name, "why": why} for name, why in pair.left_out],
        "hosts_differ_in": {
            name: {"A": one, pair.letter: other} for name, (one, other) in pair.hosts.facts.items()
        },
        "cause": pair.hosts.cause,
    }


def _cell(cell: CellComparison, pair: Pair) -> dict[str, Any]:
    return {
        "cell": cell.name,
        "answer": str(cell.answer),
        "why": cell_sentence(cell, pair),
        "p": cell.p,
        "p_holm": cell.adjusted,
        "margin": cell.margin,
        "difference": plain(cell.over_loads),
        "within": cell.over_loads.within,
        "difference_over_saves": plain(cell.over_saves),
        "within_over_saves": cell.over_saves and cell.over_saves.within,
        "more_loads": cell.more_loads,
        "saves_wanted": cell.saves_wanted,
        "A": _side(cell.first, cell.rates[0]),
        pair.letter: _side(cell.second, cell.rates[1]),
        "shifts": [
            {
                "kind": str(shift.kind),
                "found": shift.found(TOLD),
                "words": shift.words,
                "p": shift.p,
                "p_holm": shift.adjusted,
            }
            for shift in cell.shifts
        ],
        "notes": list(cell_notes(cell, pair)),
    }


def _side(cell: ArmCell, rate: LossRate) -> dict[str, Any]:
    return {
        "id": cell.id,
        "loads": cell.losses.trials,
        "lost": cell.losses.lost,
        "unknown": cell.losses.unresolved,
        "saves": len(cell.saves),
        "loss_rate": {"estimate": rate.estimate, "low": rate.low, "high": rate.high},
        "period_ms": cell.period_ns and cell.period_ns / 1e6,
        "outcomes": plain(cell.outcomes),
        "blind": cell.blind or None,
        "host": dict(cell.facts),
    }
