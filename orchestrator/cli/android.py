"""`losttick android`: does the Android Emulator freeze here, and is it the kernel?"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.android.conclusion import Conclusion, conclude, exit_code
from orchestrator.android.console import Times
from orchestrator.android.emulator import Wanted
from orchestrator.android.errors import NoEmulatorError, NotRunningError
from orchestrator.android.findings import Findings
from orchestrator.android.kernel import Sized, run_kernel, sized
from orchestrator.android.running import Running, running, the_running
from orchestrator.android.sdk import Sdk
from orchestrator.android.session import Aims, examine_running, examine_started
from orchestrator.android.words import sections
from orchestrator.cli.exits import ExitCode, error_exit, errors_to_exits, run_async
from orchestrator.cli.explanation import print_sections
from orchestrator.cli.live import Show
from orchestrator.cli.options import AsJson, Out, QemuUser, SharedOut
from orchestrator.cli.out import out_folder
from orchestrator.cli.screen import Screen
from orchestrator.cli.text import duration, print_json, say
from orchestrator.cli.whole import Whole
from orchestrator.errors import InputError, LosttickError
from orchestrator.host.cpus import vcpus_at_a_time
from orchestrator.journal.plain import plain
from orchestrator.results.report import Report, read_report

#: Seconds that one load of a phone takes with its first heartbeats, about.
_LOAD_S = 20

#: Why the kernel's test is not over: its time, or the user.
_NO_TIME = (
    "The kernel's test had no time to end, because the computer is busy. Close other programs and "
    "test again; `losttick run --plan android` takes all the time that it needs."
)
_ENDED = "You ended the kernel's test before it was over. What it had found until then counts."


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
            subject = _Subject(found.avd, found, None, _optional_adb(sdk, adb))
        else:
            assert avd is not None
            program = sdk.find("emulator", emulator)
            sdk.avd(avd)
            _refuse_running(sdk, avd)
            start = Wanted(program, avd, tuple(emulator_arg or ()), tuple(qemu_arg or ()))
            subject = _Subject(avd, None, start, sdk.find("adb", adb))
        kernel_s = float(kernel_seconds) if kernel else None
        code = run_async(
            lambda: _android(
                subject, aims, times, kernel_s, qemu_user, out, shared_out=shared_out,
                as_json=as_json,
            )
        )  # fmt: skip
    raise typer.Exit(code)


@dataclass(frozen=True, slots=True)
class _Subject:
    """The emulator to test."""

    avd: str
    found: Running | None
    """The emulator that runs already; None to start one."""
    start: Wanted | None
    adb: Path | None


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
        NotConfirmedError: the answer is not yes.
    """
    say(
        f"This saves the state of {found.avd} and loads it again. Android goes back to the moment "
        "of the save: what happens in it meanwhile is lost. If this kernel has the bug, Android "
        "freezes, and only a cold boot brings it back (emulator -avd NAME -no-snapshot-load)."
    )
    try:
        agreed = typer.confirm("Go on?", err=True)
    except typer.Abort:
        agreed = False
    if not agreed:
        raise NotConfirmedError("asking whether to load a snapshot: the answer was not yes")


async def _android(
    subject: _Subject,
    aims: Aims,
    times: Times,
    kernel_s: float | None,
    qemu_user: str | None,
    out: Path | None,
    *,
    shared_out: bool,
    as_json: bool,
) -> ExitCode:
    failures: list[LosttickError] = []
    findings: Findings | None = None
    report: Report | None = None
    planned = sized(kernel_s, vcpus_at_a_time()) if kernel_s else None
    with contextlib.ExitStack() as ending:
        # Before anything is started: else a folder that can't be had would come as a surprise.
        folder = ending.enter_context(out_folder(out, shared=shared_out)) if planned else None
        say(_how_long(subject, aims, planned))
        try:
            findings = await _examine(subject, aims, times)
        except LosttickError as error:
            say(f"The emulator could not be tested: {error}")
            failures.append(error)
        if planned and folder:
            try:
                report = await _test_kernel(planned, folder, qemu_user)
            except LosttickError as error:
                failures.append(error)
            except asyncio.CancelledError:
                if not as_json:
                    report = _so_far(folder)
                    conclusion = conclude(findings, report)
                    _tell(subject, conclusion, findings, report, failures, cut=_ENDED)
                raise
    conclusion = conclude(findings, report)
    codes = [error_exit(error) for error in failures]
    failed = max(codes, key=_gravity, default=ExitCode.CLEAN)
    code = exit_code(conclusion, report, failed)
    if as_json:
        print_json(_as_json(conclusion, findings, report, failures))
    else:
        _tell(subject, conclusion, findings, report, failures)
    return code


async def _test_kernel(planned: Sized, folder: Path, qemu_user: str | None) -> Report:
    with Show(0.95) as show:
        show.say(
            f"Now the test of this computer's kernel: the plan android, about "
            f"{duration(planned.expected_s)}. Results: {folder}"
        )
        return await run_kernel(planned.plan, folder, show, planned.most_s, qemu_user=qemu_user)


def _so_far(folder: Path) -> Report | None:
    """Return what the kernel's test had found when it was ended; None if it had not begun."""
    try:
        return read_report(folder)
    except LosttickError:
        return None


def _tell(
    subject: _Subject,
    conclusion: Conclusion,
    findings: Findings | None,
    report: Report | None,
    failures: Sequence[LosttickError],
    *,
    cut: str = _NO_TIME,
) -> None:
    """Print the report.

    Args:
        subject: the emulator.
        conclusion: what follows from the findings and the report.
        findings: what the emulator did; None if it could not be tested.
        report: what the kernel did; None if it was not tested.
        failures: why something could not be tested.
        cut: why the kernel's test was cut short, if it was.
    """
    untested = [str(error) for error in failures]
    if report and report.interrupted is not None:
        untested.append(cut)
    print_sections(Screen(), sections(conclusion, findings, report, subject.avd, untested))


async def _examine(subject: _Subject, aims: Aims, times: Times) -> Findings:
    if subject.found:
        return await examine_running(subject.found, subject.adb, aims, times, say)
    assert subject.start is not None
    assert subject.adb is not None
    return await examine_started(subject.start, subject.adb, aims, times, say)


def _how_long(subject: _Subject, aims: Aims, planned: Sized | None) -> str:
    """Say what follows and how long it takes, before anything is started."""
    loads_s = (aims.loads + 1) * _LOAD_S if aims.loads else 10
    frozen = f" ({aims.alive_s:g} s more if Android freezes)"
    emulator = "Once Android has booted, its test" if subject.start else "The test of the emulator"
    kernel = ""
    if planned:
        kernel = (
            f" Then the kernel's takes about {duration(planned.expected_s)}, on a busy computer "
            f"{duration(planned.most_s)}."
        )
    return f"{emulator} takes about {duration(loads_s)}{frozen}.{kernel}"


def _gravity(code: ExitCode) -> int:
    return [ExitCode.CLEAN, ExitCode.UNFIT, ExitCode.INCONCLUSIVE, ExitCode.HARNESS].index(code)


def _as_json(
    conclusion: Conclusion,
    findings: Findings | None,
    report: Report | None,
    failures: Sequence[LosttickError],
) -> dict[str, object]:
    return {
        "answer": conclusion.answer,
        "emulator": conclusion.emulator,
        "kernel": conclusion.kernel,
        "findings": plain(findings) if findings else None,
        "kernel_verdict": report.verdict if report else None,
        "kernel_folder": str(report.folder) if report else None,
        "untested": [str(error) for error in failures],
    }
