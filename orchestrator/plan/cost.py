"""How long a cell is likely to take."""

from orchestrator.plan.cell import Cell
from orchestrator.plan.plan import Plan
from orchestrator.snapshot.method import CycleKind, Method
from orchestrator.timers.registry import TIMERS

#: Seconds that one stop, load and continue take, beside the ticks; measured with QEMU 7.2
#: on tmpfs. Whatever is not named here starts a new QEMU for each load.
_LOAD_S = {Method.HMP: 0.005, Method.JOBS: 0.007}
_NEW_QEMU_S = 0.1

#: Seconds that one save takes, beside the ticks.
_SAVE_S = 0.02

#: Seconds from QEMU's start to its guest's first period.
_START_S = 0.1

#: Ticks before a save: three to learn the pace by, one torn by a stop, and the shots that
#: miss.
_SAVE_PERIODS = 6

#: Periods that a control takes, at least those seconds: its ticks, its silence, and a wait
#: after each look.
_CONTROL_PERIODS, _CONTROL_S = 32, 0.3


def expected_s(cell: Cell, plan: Plan) -> float:
    """Return about how many seconds a cell takes if nothing is lost."""
    period_s = cell.period_ns / 1e9
    trials = plan.limits.planned
    saves = -(-trials // cell.loads_per_save)
    first = TIMERS[cell.mode].first_tick_periods
    trial_s = (first + 1) * period_s + _LOAD_S.get(cell.method, _NEW_QEMU_S)
    save_s = (_SAVE_PERIODS + 1.25 * cell.phase.expired) * period_s + _SAVE_S
    if cell.cycle is CycleKind.FRESH:
        save_s += _START_S
    trials_s = trials * trial_s + saves * save_s
    if plan.limits.seconds is not None:
        trials_s = min(trials_s, plan.limits.seconds)
    control_s = _START_S + max(_CONTROL_PERIODS * period_s, _CONTROL_S)
    return 2 * _START_S + 3 * period_s + trials_s + plan.controls * control_s
