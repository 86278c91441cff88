"""`losttick plan`: what would a plan run here, and what may stand in one?"""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.exits import ExitCode, errors_to_exits, run_async
from orchestrator.cli.options import AsJson

if TYPE_CHECKING:
    from orchestrator.campaign.preview import Preview
    from orchestrator.plan.plan import Plan

app = typer.Typer(help="What a plan would run here, and what may stand in one.")


@app.callback(invoke_without_command=True)
def _plan(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        from orchestrator.plan.load import shipped_plans

        typer.echo(context.get_help())
        typer.echo(f"Plans that come with losttick: {', '.join(shipped_plans())}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of plan files, for editors."""
    from orchestrator.plan.schema import schema_text

    typer.echo(schema_text(), nl=False)


@app.command()
def show(
    plan: Annotated[
        str, typer.Argument(metavar="FILE|NAME", help="A TOML file, or a plan of losttick's own.")
    ],
    as_json: AsJson = False,
) -> None:
    """Print a plan's cells, which are skipped here and why, and the time it takes.

    Each cell's machine is started for some ticks; nothing is saved or loaded.
    Exit codes: 0 if something would run, 2 bad plan, 3 if nothing would.
    """
    with errors_to_exits(as_json=as_json):
        from orchestrator.plan.load import load_plan

        chosen = load_plan(plan, {})
        code = run_async(lambda: _show(chosen, as_json=as_json))
    raise typer.Exit(code)


async def _show(plan: "Plan", *, as_json: bool) -> ExitCode:
    from rich.console import Console

    from orchestrator.campaign.preview import preview
    from orchestrator.campaign.run import RequirementError, require
    from orchestrator.host.qemus import LocalQemus
    from orchestrator.vm.config import Accel
    from orchestrator.vm.tryout import why_not

    qemus = LocalQemus(plan.qemus)
    host = await qemus.first()
    why = await why_not(host, Accel.KVM) if plan.leaves_accel_open else None
    cells = plan.cells(Accel.TCG if why else Accel.KVM)
    stderr = Console(stderr=True)
    if why:
        stderr.print(f"KVM does not work here, so `auto` is TCG: {why}", markup=False)
    found = []
    with stderr.status("") as status:
        async for each in preview(cells, qemus.opener):
            found.append(each)
            status.update(f"trying machines: {len(found)} of {len(cells)} cells")
    unmet = None
    try:
        require(plan, cells, await host.facts())
    except RequirementError as error:
        unmet = str(error)
    if as_json:
        typer.echo(json.dumps(_described(plan, found, unmet), indent=2))
    else:
        _print(plan, found, unmet)
    runs = any(each.why_not is None for each in found) and unmet is None
    return ExitCode.CLEAN if runs else ExitCode.INCONCLUSIVE


def _described(plan: "Plan", found: "list[Preview]", unmet: str | None) -> dict[str, object]:
    from orchestrator.plan.cost import expected_s

    cells = [
        {
            "id": each.cell.id,
            "skipped": None if each.fails else each.why_not,
            "fails": each.why_not if each.fails else None,
            "trials": plan.limits.planned,
            "expected_s": None if each.why_not else round(expected_s(each.cell, plan), 1),
        }
        for each in found
    ]
    return {
        "seed": plan.seed,
        "controls": plan.controls,
        "limits": plan.limits.model_dump() | {"trials": plan.limits.planned},
        "unmet": unmet,
        "cells": cells,
        "expected_s": round(_total_s(plan, found), 1),
    }


def _total_s(plan: "Plan", found: "list[Preview]") -> float:
    from orchestrator.plan.cost import expected_s

    return sum(expected_s(each.cell, plan) for each in found if each.why_not is None)


def _print(plan: "Plan", found: "list[Preview]", unmet: str | None) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from orchestrator.cli.live import duration
    from orchestrator.plan.cost import expected_s

    console = Console()
    if not console.is_terminal:
        console.width = 140
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("cell", "loads", "expected"):
        table.add_column(column, overflow="fold")
    for each in found:
        if each.why_not is None:
            about = duration(expected_s(each.cell, plan))
        else:
            about = f"[yellow]{'fails' if each.fails else 'skipped'}[/]: {escape(each.why_not)}"
        table.add_row(each.cell.id, str(plan.limits.planned), about)
    console.print(table, highlight=False)
    running = sum(each.why_not is None for each in found)
    limits = plan.limits
    console.print(
        f"\n{running} of {len(found)} cells would run, each to rule out a loss rate of "
        f"{limits.rule_out:.4g} at {limits.confidence:.4g} confidence, and {plan.controls} "
        f"injected {'loss' if plan.controls == 1 else 'losses'}: about "
        f"{duration(_total_s(plan, found))}, one after another, if nothing is lost.",
        highlight=False,
        soft_wrap=True,
    )
    if unmet:
        console.print(f"But a run would end at once: {unmet}", markup=False, soft_wrap=True)
