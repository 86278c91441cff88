"""The work of `losttick run`: starts a run or continues it, and ends with its result."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from orchestrator.campaign.accelerator import open_accel
from orchestrator.campaign.run import run_plan
from orchestrator.campaign.same_run import check_kernel_of, check_plan_of, holds_run
from orchestrator.cli.events import events_to
from orchestrator.cli.exits import ExitCode
from orchestrator.cli.history.keep import Keeper
from orchestrator.cli.live import Show
from orchestrator.cli.out import cut_short, out_folder, run_to_resume
from orchestrator.cli.reports import Reports
from orchestrator.cli.run_result import end_run
from orchestrator.cli.service import with_status
from orchestrator.clock import Deadlines
from orchestrator.direct.witness import ask_this_host
from orchestrator.host.cpus import vcpus_at_a_time
from orchestrator.host.qemus import LocalQemus
from orchestrator.host.sole_run import sole_run
from orchestrator.journal.file import JOURNAL
from orchestrator.journal.fold import RunState
from orchestrator.plan.plan import Plan
from orchestrator.process.background import in_thread
from orchestrator.verdict.run import RunResult, judge_run


@dataclass(frozen=True, slots=True)
class Asked:
    """The settings of a run, and of what is done with its result."""

    deadlines: Deadlines
    qemu_user: str | None
    reports: Reports
    keeper: Keeper
    parallel: int | None
    """vCPUs that run at a time; None for as many as the host has room for."""
    events: Path | None
    expect_kernel: str | None
    """The kernel that an earlier part of the run must have had; None for any."""
    exclusive: bool
    shared_out: bool
    by_phase: bool
    as_json: bool


@dataclass(frozen=True, slots=True)
class Work:
    """A run to start or to resume."""

    out: Path | None
    """The folder; None for a new one that is named after the time."""
    asked: Asked
    plan: Plan | None = None
    """The plan to start; None if the run in `out` is resumed with its own plan."""
    may_resume: bool = False
    """True to resume the run in `out`, if there is one."""

    async def run(self) -> ExitCode:
        """Run the plan or what is left of it, print the result, and return its exit code."""
        resumed, asked = await self._earlier(), self.asked
        if resumed and resumed.finished and self.out:
            result = judge_run(resumed, self.out / JOURNAL)
            return await self._end(result, self.out, asked.reports)
        with sole_run() if asked.exclusive else contextlib.nullcontext():
            result, folder, reports = await self._run(resumed)
        return await self._end(result, folder, reports)

    async def _earlier(self) -> RunState | None:
        """Return the run to resume; None if there is none.

        Raises:
            ResumeError: it can't be resumed, or has another plan.
            OtherKernelError: it ran on another kernel than expected.
        """
        if not self.may_resume or self.out is None:
            return None
        if self.plan and not await in_thread(holds_run, self.out):
            return None
        state = await run_to_resume(self.out, shared=self.asked.shared_out)
        assert state is not None
        check_kernel_of(state, self.asked.expect_kernel, self.out)
        if self.plan:
            check_plan_of(state, self.plan, self.out)
        return state

    async def _run(self, resumed: RunState | None) -> tuple[RunResult, Path, Reports]:
        """Run trials; return the result, its folder, and the reports that are left to write."""
        asked = self.asked
        plan = resumed.plan if resumed else self.plan
        assert plan is not None
        new = out_folder(self.out, shared=asked.shared_out)
        folder_of = contextlib.nullcontext(self.out) if resumed else new
        with (
            folder_of as folder,
            Show(plan.limits.confidence) as show,
            events_to(asked.events, show) as heard,
            asked.reports.streamed(heard) as (progress, reports),
        ):
            assert folder is not None
            with cut_short(lambda: show.cut_short(folder, resumable=True), folder, reports):
                async with LocalQemus(
                    plan.qemus, asked.deadlines, asked.qemu_user, show.say
                ) as qemus:
                    host = await qemus.first()
                    auto = resumed.auto if resumed else open_accel(plan, host.facts, show.say)
                    result = await run_plan(
                        host, plan, auto, folder, with_status(progress),
                        qemus=qemus.opener, parallel=asked.parallel or vcpus_at_a_time(),
                        resumed=resumed, ask=ask_this_host, shared_out=asked.shared_out,
                    )  # fmt: skip
        return result, folder, reports

    async def _end(self, result: RunResult, folder: Path, reports: Reports) -> ExitCode:
        """Print the result, write reports and return the exit code."""
        asked = self.asked
        return await end_run(
            asked.keeper, result, folder, reports, asked.reports, by_phase=asked.by_phase,
            as_json=asked.as_json,
        )  # fmt: skip
