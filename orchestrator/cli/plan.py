"""`losttick plan`: what would a plan run here, and what may stand in one?"""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from orchestrator.campaign.accelerator import UNDER_TCG, auto_accel
from orchestrator.campaign.preview import Preview, preview
from orchestrator.campaign.requirements import RequirementError, require
from orchestrator.cli.exits import ExitCode, errors_to_exits, gravest, run_async
from orchestrator.cli.options import AsJson, QemuUser
from orchestrator.cli.screen import Screen
from orchestrator.cli.table import Table
from orchestrator.cli.text import Styled, duration, print_json, say
from orchestrator.host.qemus import LocalQemus
from orchestrator.plan.cost import expected_s
from orchestrator.plan.load import load_plan
from orchestrator.plan.plan import Plan
from orchestrator.plan.schema import schema_text
from orchestrator.vm.config import Accel


def schema() -> None:
    """Print the JSON Schema of plan files, for editors."""
    typer.echo(schema_text(), nl=False)


def show(
    plan: Annotated[
        str, typer.Argument(metavar="FILE|NAME", help="A TOML file, or the name of a plan.")
    ],
    qemu_user: QemuUser = None,
    as_json: AsJson = False,
) -> None:
    """List a plan's cells, which of them can't run here, and the time.

    The virtual machine of each cell is started for a few ticks; nothing is
    saved or loaded. Exit codes: 0 if every cell would run; 2 bad plan; 3 if a
    cell can't run here, or the host does not meet a requirement; 4 if
    losttick or QEMU failed at a cell.
    """
    with errors_to_exits(as_json=as_json):
        chosen = load_plan(plan, {})
        code = run_async(lambda: _show(chosen, qemu_user, as_json=as_json))
    raise typer.Exit(code)


async def _show(plan: Plan, qemu_user: str | None, *, as_json: bool) -> ExitCode:
    async with LocalQemus(plan.qemus, qemu_user=qemu_user, say=say) as qemus:
        return await _show_on(qemus, plan, as_json=as_json)


async def _show_on(qemus: LocalQemus, plan: Plan, *, as_json: bool) -> ExitCode:
    host = await qemus.first()
    auto = auto_accel(host.facts) if plan.leaves_accel_open else Accel.KVM
    cells = plan.cells(auto)
    if auto is Accel.TCG:
        typer.echo(UNDER_TCG, err=True)
    found = []
    with Console(stderr=True).status("") as status:
        async for each in preview(cells, qemus.opener):
            found.append(each)
            status.update(f"starting virtual machines: {len(found)} of {len(cells)} cells")
    unmet = None
    try:
        require(plan, cells, host.facts)
    except RequirementError as error:
        unmet = str(error)
    if as_json:
        print_json(_described(plan, found, unmet))
    else:
        _print(plan, found, unmet)
    codes = [_exit(plan, each) for each in found] + ([ExitCode.UNFIT] if unmet else [])
    nothing_runs = all(each.why_not for each in found)
    return gravest([*codes, ExitCode.UNFIT] if nothing_runs else codes)


def _exit(plan: Plan, found: Preview) -> ExitCode:
    if found.fails:
        return ExitCode.INCONCLUSIVE if found.transient else ExitCode.HARNESS
    return ExitCode.CLEAN if found.why_not is None or _accepted(plan, found) else ExitCode.UNFIT


def _accepted(plan: Plan, found: Preview) -> bool:
    """Return whether the plan accepts that the cell is skipped."""
    return not found.fails and found.lacks in plan.accept_skips


def _described(plan: Plan, found: Sequence[Preview], unmet: str | None) -> dict[str, object]:
    cells = [
        {
            "id": each.cell.id,
            "skipped": None if each.fails else each.why_not,
            "fails": each.why_not if each.fails else None,
            "lacks": each.lacks,
            "skip_accepted": _accepted(plan, each),
            "trials": plan.limits.planned,
            "period_ms": period_ns and period_ns / 1e6,
            "expected_s": None if each.why_not else round(_expected_s(plan, each), 1),
        }
        for each in found
        for period_ns in [each.cell.period_ns or each.period_ns]
    ]
    return {
        "seed": plan.seed,
        "controls": plan.controls,
        "limits": plan.limits.model_dump() | {"trials": plan.limits.planned},
        "unmet": unmet,
        "cells": cells,
        "expected_s": round(_total_s(plan, found), 1),
    }


def _expected_s(plan: Plan, found: Preview) -> float:
    return expected_s(found.cell, plan, found.period_ns)


def _total_s(plan: Plan, found: Sequence[Preview]) -> float:
    return sum(_expected_s(plan, each) for each in found if each.why_not is None)


def _print(plan: Plan, found: Sequence[Preview], unmet: str | None) -> None:
    screen = Screen()
    table = Table(("cell", "loads", "expected"), right=frozenset({"loads"}))
    for each in found:
        if each.why_not is None:
            period = f" at {each.period_ns / 1e6:g} ms" if each.period_ns else ""
            about = Styled(duration(_expected_s(plan, each)) + period)
        else:
            what = "skipped, as the plan accepts" if _accepted(plan, each) else "skipped"
            about = Styled(f"{'fails' if each.fails else what}: {each.why_not}", "yellow")
        table.add(each.cell.id, str(plan.limits.planned), about)
    screen.table(table)
    screen.space()
    running = sum(each.why_not is None for each in found)
    limits = plan.limits
    screen.prose(
        f"{running} of {len(found)} cells would run. Each is to rule out a loss rate of "
        f"{limits.rule_out:.4g} at {limits.confidence:.4g} confidence and has {plan.controls} "
        f"injected {'loss' if plan.controls == 1 else 'losses'}. If no tick is lost, they take "
        f"about {duration(_total_s(plan, found))} one after another."
    )
    if unmet:
        screen.prose(f"But a run would end at once: {unmet}")
