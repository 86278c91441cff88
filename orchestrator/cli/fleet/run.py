"""`losttick fleet run` and `resume`: bring a plan to many hosts, and follow it."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.exits import ExitCode, errors_to_exits, run_async
from orchestrator.cli.fleet.going import go_on
from orchestrator.cli.fleet.options import AllowReboot, BootKernels, File, Where, checked_kernels
from orchestrator.cli.options import AsJson, SharedOut
from orchestrator.fleet.begin import begin, find, reopen
from orchestrator.fleet.drive import Drive
from orchestrator.fleet.load import load_fleet
from orchestrator.fleet.log import FleetWriter
from orchestrator.process.background import in_thread


def run(
    file: File,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the fleet.", show_default="the file's `out`/TIME"),
    ] = None,
    boot_kernel: BootKernels = None,
    allow_reboot: AllowReboot = False,
    shared_out: SharedOut = False,
    as_json: AsJson = False,
) -> None:
    """Run a plan on many hosts and kernels.

    Ctrl-C, a signal or a crash ends only this command: the runs go on, and
    `losttick fleet resume` follows them again.

    Exit codes: those of `losttick run`, of the gravest task. A task that
    failed counts as 4, a cancelled one as 6, and one that the fleet file
    rules out as 3.
    """
    with errors_to_exits(as_json=as_json):
        code = run_async(
            lambda: _run(
                file, out, shared_out, boot_kernel, allow_reboot=allow_reboot, as_json=as_json
            )
        )
    raise typer.Exit(code)


async def _run(
    file: Path, out: Path | None, shared: bool, named: list[str] | None, *, allow_reboot: bool,
    as_json: bool,
) -> ExitCode:  # fmt: skip
    loaded = await in_thread(load_fleet, file)
    kernels = checked_kernels(loaded.fleet, named)
    driven = Drive(*begin(loaded, out, shared=shared))
    return await go_on(driven, kernels=kernels, allow_reboot=allow_reboot, as_json=as_json)


def resume(
    where: Where,
    boot_kernel: BootKernels = None,
    allow_reboot: AllowReboot = False,
    shared_out: SharedOut = False,
    as_json: AsJson = False,
) -> None:
    """Follow a fleet again, and try its failed tasks once more.

    Exit codes: as those of `losttick fleet run`.
    """
    with errors_to_exits(as_json=as_json):
        code = run_async(
            lambda: _resume(
                where, shared_out, boot_kernel, allow_reboot=allow_reboot, as_json=as_json
            )
        )
    raise typer.Exit(code)


async def _resume(
    where: Path, shared: bool, named: list[str] | None, *, allow_reboot: bool, as_json: bool
) -> ExitCode:
    fleet, _ = await in_thread(reopen, find(where))
    kernels = checked_kernels(fleet.loaded.fleet, named)
    log = FleetWriter(fleet.folder, shared=shared)
    try:
        _, known = await in_thread(reopen, fleet.folder)  # as it is now that nobody else writes
    except BaseException:
        log.close()
        raise
    driven = Drive(fleet, log, known)
    return await go_on(driven, kernels=kernels, allow_reboot=allow_reboot, as_json=as_json)
