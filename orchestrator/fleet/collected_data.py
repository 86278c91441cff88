"""The collected runs of a fleet as plain data, as `--json` prints them."""

from typing import Any

from orchestrator.fleet.answer import CellAnswer
from orchestrator.fleet.bad_hosts import BadHost
from orchestrator.fleet.collect import Brought, Collected
from orchestrator.fleet.effect import Both
from orchestrator.fleet.words import bad_host, notes, sentence, short
from orchestrator.journal.plain import plain
from orchestrator.results.comparison.compare import ERROR


def collected_data(found: Collected) -> dict[str, Any]:
    """Return what was collected as an object for JSON."""
    return {
        "folder": str(found.folder.path),
        "kernels": list(found.answer.kernels),
        "error_rate": ERROR,
        "tests": found.answer.tests,
        "tasks": [_task(each, found) for each in found.brought],
        "answers": [_cell(cell) for cell in found.answer.cells],
        "bad_hosts": [_bad(each) for each in found.answer.bad],
        "notes": list(found.notes),
        "history": {"added": found.added, "read_again": found.again, "complete": found.kept},
        "trials": found.trials,
    }


def _task(each: Brought, found: Collected) -> dict[str, Any]:
    run, fault = each.run, each.fault
    counts = run is not None and fault is None
    return {
        "task": each.task.id,
        "host": each.task.host,
        "kernel": each.task.kernel,
        "computer": each.computer or None,
        "folder": str(found.folder.run(each.task.id)),
        "verdict": str(run.verdict) if run and counts else None,
        "trouble": str(fault.trouble) if fault else None,
        "why": fault.why if fault else None,
        "release": run.kernel if run and counts else None,
        "unfinished": (run.unfinished or None) if run and counts else None,
        "cells": [
            {
                "cell": cell.id,
                "verdict": str(cell.verdict),
                "loads": cell.trials,
                "lost": cell.lost,
                "unknown": cell.unresolved,
                "blind": cell.blind or None,
            }
            for cell in (run.cells if run and counts else ())
        ],
    }


def _cell(cell: CellAnswer) -> dict[str, Any]:
    whole = cell.whole
    return {
        "cell": cell.cell,
        "first": cell.first,
        "second": cell.second,
        "answer": str(cell.answer),
        "where": str(cell.where) if cell.where else None,
        "worse_on": list(cell.worse_on),
        "better_on": list(cell.better_on),
        "elsewhere": str(cell.elsewhere) if cell.elsewhere else None,
        "words": short(cell),
        "why": " ".join([sentence(cell), *notes(cell)]),
        "p": whole.tails.both if whole else None,
        "p_holm": cell.adjusted if whole else None,
        "p_hosts_differ": cell.differ if cell.where else None,
        "margin": cell.margin if whole else None,
        "difference": plain(whole.over_loads) if whole else None,
        "difference_over_saves": plain(whole.over_saves) if whole else None,
        "more_loads": cell.more_loads,
        "loads": list(cell.loads),
        "lost": list(cell.lost),
        "hosts": {
            name: _host(both, (cell.own or {}).get(name)) for name, both in cell.hosts.items()
        },
        "left_out": dict(cell.left_out),
    }


def _host(both: Both, adjusted: float | None) -> dict[str, Any]:
    return {
        "loads": [each.trials for each in both],
        "lost": [each.lost for each in both],
        "p_holm": adjusted,
    }


def _bad(bad: BadHost) -> dict[str, Any]:
    return {
        "host": bad.host,
        "kernels": list(bad.kernels),
        "under_all": bad.under_all,
        "lost": bad.lost,
        "loads": bad.trials,
        "others_lost": bad.others_lost,
        "others_loads": bad.others_trials,
        "p_holm": bad.adjusted,
        "why": bad_host(bad),
    }
