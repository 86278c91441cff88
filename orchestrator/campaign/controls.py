"""The controls of one cell: losses that the guest injects itself, and that must be seen.

On a busy host a control has several tries, with longer and longer rests between them. A try is
repeated only if it shows nothing about the observer: the window passed before the guest was
stopped, or the host's stall spoiled the load. A loss that was not seen in a good try stays unseen.
"""

import math
from dataclasses import replace

from orchestrator.campaign.events import Progress
from orchestrator.campaign.instances import Instances
from orchestrator.campaign.pauses import Pauses
from orchestrator.campaign.trouble import INSTANCE_TROUBLE, LastTroubleError, check_host
from orchestrator.errors import InfraError
from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome, TrialResult, VcpuResult
from orchestrator.findings.save import Save
from orchestrator.guest.registry import GUESTS
from orchestrator.guest.state import Stage
from orchestrator.journal.control import control_subject
from orchestrator.journal.counts import CONTROL_TRIES
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.trial_record import Role
from orchestrator.plan.cell import Cell
from orchestrator.timers.gap import missing
from orchestrator.timers.registry import TIMERS
from orchestrator.timers.timer import Timer
from orchestrator.trial.aim import NoSaveError
from orchestrator.trial.control_load import not_restored
from orchestrator.trial.control_save import ControlSaver
from orchestrator.trial.examine import Hang
from orchestrator.trial.quiet_gaps import with_gaps
from orchestrator.vm.instance import Instance

#: Largest factor by which a window is longer than the usual one.
MOST_WINDOWS = 8

#: How much later the window opens in each further try, by the guest's clock.
LATER_NS = 150_000_000


def spoiled(timer: Timer, part: VcpuResult, hang: Hang | None) -> str:
    """Return why a try of a control shows nothing about the observer; empty if it shows something.

    Args:
        timer: by which the guest ticks.
        part: the result of the vCPU with the injected loss.
        hang: the evidence; None if every vCPU ticked.
    """
    if part.outcome.ticked and missing(part.late_periods):
        return "the host delayed ticks for as long as the injected loss: "
    if part.outcome is not Outcome.LOST or hang is None:
        return ""
    evidence, found = hang.evidence.of(part.vcpu), hang.diagnosis_of(part.vcpu)
    if found is None or timer.control_lost(part.outcome, found.cause):
        return ""
    if any(state.stage is Stage.CONTROL_WINDOW for state in evidence.memory):
        return "the guest was examined while the control's window lasted: "
    if found.cause is Cause.UNEXPLAINED and len(evidence.testimonies) < 2:
        return "the guest got no turn to testify: "
    return ""


class ControlMissingError(LastTroubleError):
    """A control could not be taken: no try of it showed anything about the observer."""

    def __init__(self, last: InfraError) -> None:
        super().__init__(f"none of {CONTROL_TRIES} tries succeeded. The last one", last)

    @property
    def transient(self) -> bool:
        """True if the host was too busy for the last try."""
        return super().transient or isinstance(self.last, NoSaveError)


class Controls:
    """Injects losses into guests of one cell, and checks that they are seen."""

    def __init__(
        self,
        cell: Cell,
        instances: Instances,
        pauses: Pauses,
        recorder: Recorder,
        progress: Progress,
    ) -> None:
        """Prepare.

        Args:
            cell: the cell.
            instances: starts its instances.
            pauses: rests between the tries.
            recorder: journal and evidence, and the counts of earlier sessions.
            progress: hears whether each control was seen.
        """
        self._cell = cell
        self._instances = instances
        self._pauses = pauses
        self._recorder = recorder
        self._progress = progress

    async def run(self) -> None:
        """Run the next control of the cell.

        Raises:
            ControlMissingError: no try could be carried out.
            InfraError: the host itself has ended.
        """
        controls = self._recorder.state.cells[self._cell.id].controls
        number = len(controls) + 1
        for attempt in range(1, CONTROL_TRIES + 1):
            try:
                outcome = await self._try(number, attempt)
            except INSTANCE_TROUBLE as error:
                self._recorder.failure(self._cell, error)
                check_host(self._instances.host, error)
                if attempt == CONTROL_TRIES:
                    raise ControlMissingError(error) from error
            else:
                if outcome is not Outcome.UNKNOWN:
                    break
            if attempt < CONTROL_TRIES:
                await self._pauses.rest(attempt)
        self._progress.control_seen(self._cell, controls[-1].seen)

    async def _try(self, number: int, attempt: int) -> Outcome:
        """Run one try of a control; return the outcome of the vCPU that it was on.

        On a busy host the window may pass before the guest is stopped, or open before its pace is
        known: each further try has a longer window that opens later.
        """
        cell, instances = self._cell, self._instances
        subject = control_subject(number, cell.vcpus)
        async with instances.start(
            Role.CONTROL,
            control_tick=self._first_tick(attempt),
            control_periods=self._window(min(2 ** (attempt - 1), MOST_WINDOWS)),
            subject=subject,
        ) as instance:
            paces = instances.paces(instance)
            saver = ControlSaver(instance, instances.snapshots, paces, instances.limits)
            save = with_gaps(instance, await saver.take_control("control"), paces)
            self._recorder.save(cell, Role.CONTROL, save)
            result = await instances.trial(instance, save, paces).run()
            result, hang = await instances.examine(instance, save, result)
            result = _without_spoiled(TIMERS[cell.mode], result, hang, subject)
            why = await _unrestored(instance, save, result)
            if why:
                result = _without_retry(result, subject)
            self._recorder.trial(
                cell, Role.CONTROL, number, attempt, save, result, hang, unrestored=why
            )
        return (result.of(subject) or result.told).outcome

    def _first_tick(self, attempt: int) -> int:
        """Return the tick after which the window opens."""
        later = (attempt - 1) * LATER_NS / self._instances.limits.period_ns
        return GUESTS[self._cell.guest].control_tick + math.ceil(later)

    def _window(self, times: int) -> int:
        """Return the length of a window in periods, `times` as long as usual."""
        limits, timer = self._instances.limits, TIMERS[self._cell.mode]
        config = self._cell.instance_config(limits.period_ns)
        least, *_ = limits.control_left(goes_on=timer.goes_on, qemus=config.timer_is_qemus)
        # Some of the window passes before the guest is stopped.
        needed = math.ceil(2 * least) - 2
        return max(timer.control_periods(limits.period_ns, times), needed * times)


async def _unrestored(instance: Instance, save: Save, result: TrialResult) -> str:
    """Return what shows that the load of a control restored no timer; empty if nothing does."""
    subject = instance.config.guest.subject
    part = result.of(subject)
    if part is None or not _tells(part):
        return ""
    now = await instance.known_state(subject)
    return not_restored(instance.config, save, instance.swallowed, now)


def _tells(part: VcpuResult) -> bool:
    """Return whether the counters of a control's vCPU tell what the load restored.

    A guest that was never loaded, because its load failed, is unknown and prints no tick either.
    """
    return part.outcome is not Outcome.CRASHED and (
        part.outcome is not Outcome.UNKNOWN or bool(part.heard)
    )


def _without_retry(result: TrialResult, subject: int) -> TrialResult:
    """Return the result of a load that restored no timer: no further try would show more."""
    return replace(
        result,
        vcpus=tuple(
            replace(each, outcome=Outcome.NOT_LOADED)
            if each.vcpu == subject and each.outcome is Outcome.UNKNOWN
            else each
            for each in result.vcpus
        ),
    )


def _without_spoiled(
    timer: Timer, result: TrialResult, hang: Hang | None, subject: int
) -> TrialResult:
    """Return the result of a try, with the outcome `unknown` if the host spoiled it."""
    part = result.of(subject)
    why = spoiled(timer, part, hang) if part else ""
    if not part or not why:
        return result
    unknown = replace(part, outcome=Outcome.UNKNOWN, why=why + part.why)
    return replace(result, vcpus=tuple(unknown if each is part else each for each in result.vcpus))
