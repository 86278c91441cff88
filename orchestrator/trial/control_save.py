"""Saves a guest inside the window of its built-in control."""

from dataclasses import replace

from orchestrator.findings.save import Save
from orchestrator.guest.lines import ControlOpened
from orchestrator.guest.state import Stage
from orchestrator.trial.aim import NoSaveError, Saver
from orchestrator.trial.look import INTERRUPTS_OFF
from orchestrator.trial.watch import Heard, Silence

#: Attempts to stop inside the control's window before giving up. Each lets a part of what is too
#: much of the window pass.
ATTEMPTS = 40

#: Shortest time for which the guest runs on before the next attempt, in periods.
_LEAST_WAIT = 0.1


class ControlSaver(Saver):
    """Takes the save of a control."""

    async def take_control(self, tag: str) -> Save:
        """Save inside the window of the built-in control, and leave the instance stopped.

        The window may be longer than what may be left of it at the save: the guest runs on until
        the rest is short enough. So the window can be as long as a busy host needs.

        Raises:
            NoSaveError: the guest has no control, its window did not open, or too little of
                the window was left when the instance stopped.
            MonitorError: QEMU failed at a command.
        """
        instance = self._instance
        subject = instance.config.guest.subject
        pace = self._paces[subject]
        window = await self._window_opens()
        await instance.pin()
        least, wanted, most = self._limits.control_left(
            goes_on=instance.config.timer.goes_on, qemus=instance.config.timer_is_qemus
        )
        before, asked = window / pace.progress_per_period, 0.0
        for attempt in range(1, ATTEMPTS + 1):
            await instance.stop()
            save = await self.look_at_all(tag, 0.0)
            state = await instance.peek_state(subject)
            left = state.window_left / pace.progress_per_period
            in_window = state.stage is Stage.CONTROL_WINDOW and left >= least
            printing = any(part.printing for part in save.vcpus)
            # On a busy host the window's own interrupt may be pending, or another vCPU's tick.
            # Loaded like this, the guest would take it and one more.
            pending = any(part.irr for part in save.vcpus)
            # In a tick's handler a one-shot timer is over, which KVM takes for one that expires at
            # the load, and the handler arms it as well: that vCPU would get one tick more.
            in_handler = any(INTERRUPTS_OFF in part.ineligible for part in save.vcpus)
            # A busy host lets the guest run for longer than it was asked to.
            overrun = max(0.0, before - left - asked)
            early = left - (most if left - least < 3 * overrun else wanted)
            good = not (printing or pending or in_handler or early > 0)
            if not in_window or good or attempt == ATTEMPTS:
                break
            # The line has arrived, but the guest has not yet noted that it is printed. Or
            # another vCPU prints.
            before, asked = left, max(early / 2, _LEAST_WAIT)
            await instance.cont()
            await instance.clock.sleep(int(asked * self._limits.period_ns))
        if not in_window or early > 0 or state.printing:
            raise NoSaveError(
                f"saving inside the built-in control: {left:.1f} periods of its window were left, "
                f"{least:.1f} to {most:.1f} are needed. Run it again while the host is less busy, "
                "or with a longer --period."
            )
        if printing:
            # A tick came just before the window began, and its line is not printed yet.
            raise NoSaveError(
                "saving inside the built-in control: the guest was a tick late in its printing. "
                "A longer --period gives more room."
            )
        await self._snapshots.save(instance, tag)
        return replace(save, control=True, saved_ns=instance.clock.now_ns())

    async def _window_opens(self) -> int:
        """Learn the guest's pace, and wait until the window opens; return its progress.

        Raises:
            NoSaveError: the guest has no control, or its window did not open after that.
        """
        guest = self._instance.config.guest
        watch = self._watches[guest.subject]
        if not guest.control_tick:
            raise NoSaveError(
                "saving inside the built-in control: the "
                f"{self._instance.config.program.name} guest has none, so no loss can be injected"
            )
        passed = (
            "its window had passed before the guest's pace was known. "
            "Run it again while the host is less busy, or with a longer --period."
        )
        trouble: NoSaveError | None = None
        try:
            await self.learn_pace()
        except NoSaveError as error:
            trouble = error
        if any(isinstance(line, ControlOpened) for line in watch.others):
            raise NoSaveError(f"saving inside the built-in control: {passed}") from trouble
        if trouble:
            raise trouble
        opened = await watch.hear(
            ControlOpened, 2 * guest.control_tick * self._limits.period_ns, confirm=True
        )
        if not isinstance(opened, Heard):
            why = passed if isinstance(opened, Silence) else opened.why
            raise NoSaveError(f"waiting for the built-in control: {why}")
        return opened.line.window
