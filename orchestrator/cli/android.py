"""`losttick android`: does the Android Emulator freeze here, and is it the kernel?"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.android.console import Times
from orchestrator.android.emulator import Wanted
from orchestrator.android.errors import NoEmulatorError, NotRunningError
from orchestrator.android.running import Running, running, the_running
from orchestrator.android.sdk import Sdk
from orchestrator.android.session import Aims
from orchestrator.cli.android_work import Subject, Work
from orchestrator.cli.asking import NO_INPUT, is_yes, prompt, typed
from orchestrator.cli.exits import errors_to_exits, run_async
from orchestrator.cli.options import AsJson, Out, QemuUser, SharedOut
from orchestrator.cli.text import say
from orchestrator.cli.whole import Whole
from orchestrator.errors import InputError


class NotConfirmedError(InputError):
    """The user did not agree to what the command would do."""


def android(
    avd: Annotated[
        str | None,
        typer.Option(help="Name of the virtual device to start and test.", metavar="NAME"),
    ] = None,
    attach: Annotated[
        bool,
        typer.Option(
            "--attach",
            help="Look at an emulator that runs already, as when it is frozen now. It saves and "
            "loads nothing, unless --loads is given.",
        ),
    ] = False,
    loads: Annotated[
        int | None,
        typer.Option(
            parser=Whole(0, 1000),
            help="Loads of a snapshot of losttick's own.",
            show_default="3; with --attach, none",
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask before --attach --loads sets Android back.")
    ] = False,
    kernel: Annotated[
        bool,
        typer.Option("--kernel/--no-kernel", help="Whether to test this computer's kernel, too."),
    ] = True,
    kernel_seconds: Annotated[
        int, typer.Option(parser=Whole(1, 100_000), help="About how long that test may take.")
    ] = 130,
    emulator: Annotated[
        str | None,
        typer.Option(help="The program `emulator`.", show_default="the Android SDK's, or on PATH"),
    ] = None,
    adb: Annotated[
        str | None,
        typer.Option(help="The program `adb`.", show_default="the Android SDK's, or on PATH"),
    ] = None,
    emulator_arg: Annotated[
        list[str] | None,
        typer.Option(help="Further option for the emulator, such as --emulator-arg=-read-only."),
    ] = None,
    qemu_arg: Annotated[
        list[str] | None,
        typer.Option(help="Further option for the emulator's QEMU, after its `-qemu`."),
    ] = None,
    alive_within: Annotated[
        int,
        typer.Option(
            parser=Whole(1, 3600),
            help="Seconds without a heartbeat after a load that count as frozen.",
        ),
    ] = 60,
    boot_within: Annotated[
        int, typer.Option(parser=Whole(1, 7200), help="Seconds that Android may take to boot.")
    ] = 300,
    state_within: Annotated[
        int,
        typer.Option(parser=Whole(1, 3600), help="Seconds that a save or a load may take."),
    ] = 120,
    qemu_user: QemuUser = None,
    out: Out = None,
    shared_out: SharedOut = False,
    as_json: AsJson = False,
) -> None:
    """Test the Android Emulator: does a snapshot freeze it, and why?

    Starts the emulator without a window, saves a snapshot under a name of its
    own, loads it, and sees whether Android runs on. Then tests this computer's
    kernel in the same way, and says whether it is the kernel that freezes the
    emulator, and what helps. Other snapshots are left alone.

    Exit codes: 0 nothing froze; 1 this host's kernel has the bug; 2 bad usage;
    3 something is missing; 4 losttick, QEMU or the emulator failed; 5 the
    emulator froze, or the kernel test found something else; 6 inconclusive;
    130 interrupted.
    """
    with errors_to_exits(as_json=as_json):
        if not attach and avd is None:
            raise InputError(
                "naming the virtual device: give --avd NAME, or --attach for an emulator that "
                "runs already. `emulator -list-avds` lists the names"
            )
        wanted_loads = loads if loads is not None else 0 if attach else 3
        aims = Aims(wanted_loads, alive_within, boot_within)
        times = Times(state_s=state_within)
        sdk = Sdk.of_user()
        if attach:
            found = the_running(sdk, avd)
            if wanted_loads and not yes:
                _confirm(found)
            subject = Subject(found.avd, found, None, _optional_adb(sdk, adb))
        else:
            assert avd is not None
            program = sdk.find("emulator", emulator)
            sdk.avd(avd)
            _refuse_running(sdk, avd)
            start = Wanted(program, avd, tuple(emulator_arg or ()), tuple(qemu_arg or ()))
            subject = Subject(avd, None, start, sdk.find("adb", adb))
        kernel_s = float(kernel_seconds) if kernel else None
        work = Work(
            subject, aims, times, kernel_s, qemu_user, out, shared_out=shared_out, as_json=as_json
        )
        code = run_async(work.run)
    raise typer.Exit(code)


def _refuse_running(sdk: Sdk, avd: str) -> None:
    """Refuse to start an emulator twice.

    Raises:
        NotRunningError: it runs already.
    """
    if any(each.avd == avd for each in running(sdk)):
        raise NotRunningError(
            f"{avd} runs already, and can't be started twice. End it, or look at it as it is: "
            "`losttick android --attach`."
        )


def _optional_adb(sdk: Sdk, named: str | None) -> Path | None:
    try:
        return sdk.find("adb", named)
    except NoEmulatorError:
        if named:
            raise
        return None


def _confirm(found: Running) -> None:
    """Say what will be done to an emulator that is in use, and ask.

    Raises:
        NotConfirmedError: the answer is not yes, or nobody can be asked.
    """
    say(
        f"This saves the state of {found.avd} and loads it again. Android goes back to the moment "
        "of the save: what happens in it meanwhile is lost. If this kernel has the bug, Android "
        "freezes, and only a cold boot brings it back (emulator -avd NAME -no-snapshot-load)."
    )
    if sys.stdin is None:
        raise NotConfirmedError(
            f"asking whether to load a snapshot: nobody can be asked, {NO_INPUT}. Nothing was "
            "touched. Give --yes to allow it."
        )
    prompt("Go on?")
    if not is_yes(typed()):
        raise NotConfirmedError("asking whether to load a snapshot: the answer was not yes")
