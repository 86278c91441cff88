"""Estimates how long a cell will take."""

from orchestrator.guest.registry import GUESTS
from orchestrator.plan.cell import Cell
from orchestrator.plan.plan import Plan
from orchestrator.snapshot.method import CycleKind, Method
from orchestrator.timers.registry import TIMERS

#: Seconds for one stop, load and continue, not counting ticks (QEMU 7.2, state on tmpfs).
#: Methods that are not listed start a new QEMU for each load.
_LOAD_S = {Method.HMP: 0.005, Method.JOBS: 0.007, Method.JOBS_HMP: 0.005}
_NEW_QEMU_S = 0.1

#: Seconds for one save, not counting ticks.
_SAVE_S = 0.02

#: Seconds from QEMU's start to its guest's first period.
_START_S = 0.1

#: The same for a guest with a kernel (Debian 6.1 under TCG, an idle host).
_KERNEL_START_S = 4.0

#: Periods before a save: three to learn the guest's pace, one that a stop cuts short, and
#: two for attempts that miss the phase.
_SAVE_PERIODS = 6

#: Length of a control in periods, and its least length in seconds: ticks, then silence, then
#: a wait after each look at the guest.
_CONTROL_PERIODS, _CONTROL_S = 32, 0.5


def expected_s(cell: Cell, plan: Plan, period_ns: int | None = None) -> float:
    """Return about how many seconds a cell takes if nothing is lost.

    Args:
        cell: the cell.
        plan: its plan.
        period_ns: the timer period if the cell's is `auto`; by default the shortest that `auto`
            may choose.
    """
    period_ns = cell.period_ns or period_ns or cell.auto_periods_ns[0]
    period_s = period_ns / 1e9
    trials = plan.limits.planned
    saves = -(-trials // cell.loads_per_save)
    first = TIMERS[cell.mode].first_tick_periods
    trial_s = (first + 1) * period_s + _LOAD_S.get(cell.method, _NEW_QEMU_S)
    pauses = (cell.pause_before_load, cell.pause_before_cont)
    trial_s += sum(pause.ns(period_ns) for pause in pauses) / 1e9
    save_s = (_SAVE_PERIODS + 1.25 * cell.phase.expired) * period_s + _SAVE_S
    start_s = _KERNEL_START_S if GUESTS[cell.guest].kernel_tick_ns else _START_S
    if cell.cycle is CycleKind.FRESH:
        save_s += start_s
    trials_s = trials * trial_s + saves * save_s
    if plan.limits.seconds is not None:
        trials_s = min(trials_s, plan.limits.seconds)
    control_s = start_s + max(_CONTROL_PERIODS * period_s, _CONTROL_S)
    return 2 * start_s + 3 * period_s + trials_s + plan.controls * control_s
