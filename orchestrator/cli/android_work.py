"""The work of `losttick android`: tests the emulator, then this computer's kernel.

What can be known before is known before: bad input is refused before an emulator is started.
What happens in one part never loses what the other part has found.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from orchestrator.android.conclusion import conclude, exit_code
from orchestrator.android.console import Times
from orchestrator.android.emulator import Wanted
from orchestrator.android.findings import Findings
from orchestrator.android.kernel import Sized, kernels_host, run_kernel, sized
from orchestrator.android.running import Running
from orchestrator.android.session import Aims, examine_running, examine_started
from orchestrator.android.words import sections
from orchestrator.cli.exits import ExitCode, error_exit
from orchestrator.cli.explanation import print_sections
from orchestrator.cli.live import Show
from orchestrator.cli.out import out_folder
from orchestrator.cli.screen import Screen, with_width
from orchestrator.cli.text import duration, print_json, say
from orchestrator.errors import InputError, LosttickError
from orchestrator.host.cpus import vcpus_at_a_time
from orchestrator.host.qemus import LocalQemus
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
_BROKEN = (
    "An error ended the kernel's test before it was over. What it had found until then counts."
)


@dataclass(frozen=True, slots=True)
class Subject:
    """The emulator to test."""

    avd: str
    found: Running | None
    """The emulator that runs already; None to start one."""
    start: Wanted | None
    adb: Path | None


@dataclass(slots=True)
class _Found:
    """The findings of both parts so far."""

    findings: Findings | None = None
    """None if the emulator could not be tested."""
    report: Report | None = None
    """None if the kernel was not tested."""
    failures: list[LosttickError] = field(default_factory=list)
    """Why something could not be tested."""
    cut: str = _NO_TIME
    """Why the kernel's test was cut short, if it was; empty if a failure says it."""


@dataclass(frozen=True, slots=True)
class _KernelTest:
    """The kernel's test, ready to begin."""

    planned: Sized
    qemus: LocalQemus
    folder: Path


@dataclass(frozen=True, slots=True)
class Work:
    """A test of an emulator and of this computer's kernel."""

    subject: Subject
    aims: Aims
    times: Times
    kernel_s: float | None
    """About how long the kernel's test may take; None to leave it out."""
    qemu_user: str | None
    out: Path | None
    shared_out: bool
    as_json: bool

    async def run(self) -> ExitCode:
        """Test both, print what was found, and return the exit code.

        Raises:
            InputError: something that the user gave can't be used; nothing was started.
        """
        planned = sized(self.kernel_s, vcpus_at_a_time()) if self.kernel_s else None
        found = _Found()
        async with self._kernel_test(planned, found) as test:
            say(_how_long(self.subject, self.aims, test.planned if test else None))
            try:
                found.findings = await self._examine()
            except LosttickError as error:
                say(f"The emulator could not be tested: {error}")
                found.failures.append(error)
            if test:
                await self._test_kernel(test, found)
        conclusion = conclude(found.findings, found.report)
        codes = [error_exit(error) for error in found.failures]
        if self.as_json:
            print_json(_as_json(found))
        else:
            self._tell(Screen(), found)
        return exit_code(conclusion, found.report, codes)

    @contextlib.asynccontextmanager
    async def _kernel_test(
        self, planned: Sized | None, found: _Found
    ) -> AsyncIterator[_KernelTest | None]:
        """Make all ready that the kernel's test needs; None if there is to be none.

        Raises:
            InputError: the folder can't be had, or QEMU can't run as the user who was named.
        """
        if planned is None:
            yield None
            return
        async with contextlib.AsyncExitStack() as ending:
            folder = ending.enter_context(out_folder(self.out, shared=self.shared_out))
            qemus = LocalQemus(planned.plan.qemus, qemu_user=self.qemu_user, say=say)
            await ending.enter_async_context(qemus)
            test: _KernelTest | None = _KernelTest(planned, qemus, folder)
            try:
                await kernels_host(qemus)
            except InputError:
                raise
            except LosttickError as error:  # the emulator can be tested all the same
                say(f"The kernel can't be tested: {error}")
                found.failures.append(error)
                test = None
            yield test

    async def _examine(self) -> Findings:
        subject = self.subject
        if subject.found:
            return await examine_running(subject.found, subject.adb, self.aims, self.times, say)
        assert subject.start is not None
        assert subject.adb is not None
        return await examine_started(subject.start, subject.adb, self.aims, self.times, say)

    async def _test_kernel(self, test: _KernelTest, found: _Found) -> None:
        """Test the kernel. Whatever ends that, what was found until then is kept or told."""
        planned, folder = test.planned, test.folder
        try:
            with Show(0.95) as show:
                show.say(
                    f"Now the test of this computer's kernel: the plan android, about "
                    f"{duration(planned.expected_s)}. Results: {folder}"
                )
                found.report = await run_kernel(
                    test.qemus, planned.plan, folder, show, planned.most_s
                )
        except LosttickError as error:
            found.report, found.cut = _so_far(folder), ""
            found.failures.append(error)
        except BaseException as error:
            found.report = _so_far(folder)
            found.cut = _ENDED if isinstance(error, asyncio.CancelledError) else _BROKEN
            # With --json, standard output has the one object that tells of the error.
            screen = Screen(with_width(Console(stderr=True))) if self.as_json else Screen()
            self._tell(screen, found)
            raise

    def _tell(self, screen: Screen, found: _Found) -> None:
        """Print the report."""
        untested = [str(error) for error in found.failures]
        report = found.report
        if report and report.interrupted is not None and found.cut:
            untested.append(found.cut)
        conclusion = conclude(found.findings, report)
        shown = sections(conclusion, found.findings, report, self.subject.avd, untested)
        print_sections(screen, shown)


def _so_far(folder: Path) -> Report | None:
    """Return what the kernel's test had found when it was ended; None if it had not begun."""
    try:
        return read_report(folder)
    except (LosttickError, OSError):
        return None


def _how_long(subject: Subject, aims: Aims, planned: Sized | None) -> str:
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


def _as_json(found: _Found) -> dict[str, object]:
    conclusion, report = conclude(found.findings, found.report), found.report
    return {
        "answer": conclusion.answer,
        "emulator": conclusion.emulator,
        "kernel": conclusion.kernel,
        "findings": plain(found.findings) if found.findings else None,
        "kernel_verdict": report.verdict if report else None,
        "kernel_folder": str(report.folder) if report else None,
        "untested": [str(error) for error in found.failures],
    }
