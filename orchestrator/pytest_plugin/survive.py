"""The assertion that ticks survive the load of a snapshot."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.campaign.run import run_plan
from orchestrator.direct.witness import ask_this_host
from orchestrator.errors import LosttickError
from orchestrator.host.cpus import vcpus_at_a_time
from orchestrator.host.local import LocalHost
from orchestrator.host.protocol import Host
from orchestrator.host.qemu_binary import DEFAULT_QEMU
from orchestrator.host.qemus import LocalQemus
from orchestrator.host.turn import turn
from orchestrator.plan.load import build_plan, load_plan, merge
from orchestrator.plan.plan import Plan
from orchestrator.pytest_plugin.case import Case
from orchestrator.pytest_plugin.errors import ERRORS
from orchestrator.pytest_plugin.notes import Notes
from orchestrator.pytest_plugin.told import kept_in, properties, section, words
from orchestrator.results.report import read_report
from orchestrator.verdict.run import RunResult
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel

_log = logging.getLogger(__name__)

#: The source of a plan that a call alone describes, in error messages.
_CALL = "assert_ticks_survive()"


@dataclass(frozen=True, slots=True)
class _Campaign:
    """A campaign to be run, and its folder."""

    host: Host
    plan: Plan
    auto: Accel
    folder: Path
    notes: Notes

    async def run(self) -> RunResult:
        """Run it, when no other process of this computer runs one for its tests."""
        here = isinstance(self.host, LocalHost)
        async with contextlib.AsyncExitStack() as stack:
            if here:
                await stack.enter_async_context(turn(say=self._waits))
            qemus = await stack.enter_async_context(
                LocalQemus(self.plan.qemus, say=self.notes.noted)
            )
            return await run_plan(
                self.host, self.plan, self.auto, self.folder, self.notes,
                qemus=self._opener(qemus) if here else None,
                parallel=vcpus_at_a_time() if here else 1,
                ask=ask_this_host if here else None,
            )  # fmt: skip

    def _opener(
        self, qemus: LocalQemus
    ) -> Callable[[str], Callable[[], AbstractAsyncContextManager[Host]]]:
        """Return what opens the host with a named QEMU: the fixture's host, if none is named."""
        return lambda name: (
            (lambda: contextlib.nullcontext(self.host)) if name == DEFAULT_QEMU
            else qemus.opener(name)
        )  # fmt: skip

    def _waits(self, text: str) -> None:
        """Tell of a wait: at once in the log, which pytest shows of a test that timed out, too."""
        _log.warning("%s", text)
        self.notes.noted(text)


class _Survive:
    """What the assertions for functions and for coroutines share."""

    def __init__(self, case: Case, host: Host) -> None:
        self._case = case
        self._host = host

    def _campaign(self, plan: str | os.PathLike[str] | None, given: Mapping[str, Any]) -> _Campaign:
        """Return the campaign that a call asks for.

        Raises:
            PlanError: a setting is not valid.
        """
        __tracebackhide__ = True
        named = self._case.plan if plan is None else self._case.named_plan(plan)
        try:
            built = load_plan(named, given) if named else build_plan(merge({}, given), _CALL)
        except LosttickError as error:
            raise error.with_traceback(None) from None
        auto = Accel.TCG
        if built.leaves_accel_open:
            auto = self._case.session.accel(self._host, None)
        return _Campaign(self._host, built, auto, self._case.folder("run"), Notes())

    def _judged(self, result: RunResult, campaign: _Campaign) -> RunResult:
        """Return a result that is clean; else fail or skip the test."""
        __tracebackhide__ = True
        report = read_report(campaign.folder)
        self._case.tell(section(report, campaign.notes.texts))
        for name, text in properties(report, self._case.next_run()):
            self._case.record(name, text)
        if result.verdict is Verdict.SKIPPED:
            self._case.session.lack(report.meaning)
        if result.verdict in ERRORS:
            raise ERRORS[result.verdict](words(report), result, campaign.folder)
        return result


def _given(
    trials: int | None,
    rule_out: float | None,
    confidence: float | None,
    seconds: float | None,
    seed: int | None,
    accel: Accel | str | None,
    axes: Mapping[str, object] | None,
) -> dict[str, Any]:
    """Return the settings of a call, nested like a plan."""
    return {
        "seed": seed,
        "axes": {**(axes or {}), **({"accel": accel} if accel is not None else {})},
        "limits": {
            "trials": trials, "rule_out": rule_out, "confidence": confidence, "seconds": seconds,
        },
    }  # fmt: skip


def _in_coroutine() -> bool:
    try:
        return asyncio.get_running_loop() is not None
    except RuntimeError:
        return False


class TicksSurvive(_Survive):
    """`assert_ticks_survive(...)`, for tests that are no coroutines."""

    def __call__(
        self,
        plan: str | os.PathLike[str] | None = None,
        *,
        trials: int | None = None,
        rule_out: float | None = None,
        confidence: float | None = None,
        seconds: float | None = None,
        seed: int | None = None,
        accel: Accel | str | None = None,
        axes: Mapping[str, object] | None = None,
    ) -> RunResult:
        """Load snapshots while a guest ticks; fail the test unless every cell is clean.

        Args:
            plan: the name of a shipped plan, or the path of a file, relative to the test's
                folder; by default the plan of the test's marker, or else losttick's defaults.
                The other arguments override it.
            trials: loads in each cell; by default as many as `rule_out` needs.
            rule_out: the loss rate that `clean` must rule out.
            confidence: of the verdict.
            seconds: time limit for the trials of each cell.
            seed: of the phases and the order of cells.
            accel: what runs the guest; by default KVM if the host has it, else TCG.
            axes: further settings, as the `[axes]` table of a plan has them.

        Returns:
            The result, whose verdict is `clean`.

        Raises:
            AffectedError: a timer interrupt was lost.
            AnomalousError: something else is wrong with the ticks.
            InconclusiveError: nothing is known.
            PlanError: a setting is not valid.
            InfraError: nothing could be recorded.
        """
        __tracebackhide__ = True
        if _in_coroutine():
            raise RuntimeError(
                "assert_ticks_survive() was called in a coroutine, whose loop would stand still: "
                "use `await assert_ticks_survive_async(...)`"
            )
        given = _given(trials, rule_out, confidence, seconds, seed, accel, axes)
        campaign = self._campaign(plan, given)
        try:
            result = self._case.session.loop.run(campaign.run())
        except LosttickError as error:
            error.add_note(kept_in(campaign.folder))
            raise self._case.failed(error) from None
        return self._judged(result, campaign)


class _Awaited(Awaitable[RunResult]):
    """A call that is to be awaited. Until then, nothing is done."""

    def __init__(self, work: Callable[[], Awaitable[RunResult]]) -> None:
        self._work = work
        self.awaited = False

    def __await__(self) -> Generator[Any, Any, RunResult]:
        self.awaited = True
        return self._work().__await__()


class AsyncTicksSurvive(_Survive):
    """`await assert_ticks_survive_async(...)`, for tests that are coroutines."""

    def __init__(self, case: Case, host: Host) -> None:
        super().__init__(case, host)
        self._calls: list[_Awaited] = []

    def __call__(
        self,
        plan: str | os.PathLike[str] | None = None,
        *,
        trials: int | None = None,
        rule_out: float | None = None,
        confidence: float | None = None,
        seconds: float | None = None,
        seed: int | None = None,
        accel: Accel | str | None = None,
        axes: Mapping[str, object] | None = None,
    ) -> Awaitable[RunResult]:
        """Do what `TicksSurvive` does, in the test's own loop. Nothing is done until awaited."""
        given = _given(trials, rule_out, confidence, seconds, seed, accel, axes)
        call = _Awaited(lambda: self._run(plan, given))
        self._calls.append(call)
        return call

    async def _run(
        self, plan: str | os.PathLike[str] | None, given: Mapping[str, Any]
    ) -> RunResult:
        __tracebackhide__ = True
        campaign = self._campaign(plan, given)
        try:
            result = await campaign.run()
        except LosttickError as error:
            error.add_note(kept_in(campaign.folder))
            raise self._case.failed(error) from None
        return self._judged(result, campaign)

    def check_awaited(self) -> None:
        """Fail the test if it forgot to await a call: then nothing was tested."""
        __tracebackhide__ = True
        if not all(call.awaited for call in self._calls):
            pytest.fail(
                "assert_ticks_survive_async(...) was called and not awaited, so nothing was tested",
                pytrace=False,
            )
