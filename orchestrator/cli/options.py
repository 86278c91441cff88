"""Options that several commands share."""

import math
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.exits import FailOn
from orchestrator.cli.out import DEFAULT_OUT
from orchestrator.cli.whole import Whole
from orchestrator.clock import DEFAULT_DEADLINES, Deadlines
from orchestrator.guest.lapic_mode import LapicMode

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")
]

FailOnKinds = Annotated[
    list[FailOn] | None,
    typer.Option(
        "--fail-on",
        help="Kind of result that ends with an exit code other than 0. May be given more than "
        "once.",
        show_default="every kind",
    ),
]

IntervalConfidence = Annotated[
    float, typer.Option(min=0.5, max=0.999999, help="Confidence of the intervals.")
]

StopAfter = Annotated[
    int | None,
    typer.Option(
        parser=Whole(1),
        help="Losses diagnosed as the known bug after which a cell ends.",
        show_default="none: every load is run",
        rich_help_panel="How many trials",
    ),
]

QemuUser = Annotated[
    str | None,
    typer.Option(
        help="User as whom QEMU runs, by name or number. Only root may choose one.",
        show_default="you; for root a user without privileges",
        envvar="LOSTTICK_QEMU_USER",
        metavar="USER",
    ),
]

Seed = Annotated[
    int | None, typer.Option(parser=Whole(0), help="Seed of the phases.", show_default="drawn")
]

Out = Annotated[
    Path | None,
    typer.Option(help="Folder for journal and evidence.", show_default=f"{DEFAULT_OUT}/TIME"),
]

SharedOut = Annotated[
    bool,
    typer.Option(
        "--shared-out",
        help="Write into --out, or resume there, even if another user can write to that folder, "
        "and so could change or replace the results.",
    ),
]

#: Current counts in ns: from 0, which QEMU restores, to what expires long after the call.
DEFAULT_TMCCTS = (0, 1, 100, 1_000, 10_000, 100_000, 1_000_000)

Tmcct = Annotated[
    list[int] | None,
    typer.Option(
        parser=Whole(0, 2**32 - 1),
        help="Current count to restore, in ns; QEMU restores 0. May be given more than once.",
        show_default=", ".join(map(str, DEFAULT_TMCCTS)),
    ),
]

DirectMode = Annotated[
    LapicMode,
    typer.Option(
        "--mode",
        help="Mode of the LAPIC's timer. With tsc-deadline, --tmcct is the time to the deadline.",
    ),
]

#: Longest deadline in seconds: some days.
MOST_DEADLINE_S = 1_000_000


def _finite(value: float | None) -> float | None:
    if value is not None and math.isnan(value):
        raise typer.BadParameter("it is not a number")
    return value


CommandDeadline = Annotated[
    float | None,
    typer.Option(
        min=1,
        max=MOST_DEADLINE_S,
        callback=_finite,
        help="Seconds that QEMU may take to answer a command; raise it on a very slow host.",
        show_default=f"{DEFAULT_DEADLINES.command_ns / 1e9:g}",
        rich_help_panel="Deadlines",
    ),
]

StateDeadline = Annotated[
    float | None,
    typer.Option(
        min=1,
        max=MOST_DEADLINE_S,
        callback=_finite,
        help="Seconds that a save, load or migration may take; raise it for a slow disk or a "
        "big guest.",
        show_default=f"{DEFAULT_DEADLINES.state_ns / 1e9:g}",
        rich_help_panel="Deadlines",
    ),
]


def raised_deadlines(command_s: float | None, state_s: float | None) -> Deadlines:
    """Return the deadlines that the options ask for."""
    default = DEFAULT_DEADLINES
    return Deadlines(
        command_ns=int(command_s * 1e9) if command_s else default.command_ns,
        state_ns=int(state_s * 1e9) if state_s else default.state_ns,
        ready_ns=max(int((command_s or 0) * 1e9), default.ready_ns),
    )
