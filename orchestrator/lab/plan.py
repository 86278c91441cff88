"""The plan of a lab run."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from orchestrator.guest.config import DEFAULT_GUEST, DEFAULT_TIMER, MAX_PERIOD_NS
from orchestrator.guest.registry import GUESTS
from orchestrator.lab.kernel.variants import Variant
from orchestrator.plan.faults import COMMAND_LINE
from orchestrator.plan.load import build_plan
from orchestrator.plan.period import AUTO
from orchestrator.plan.plan import Plan
from orchestrator.timers.registry import TIMERS

#: Period for each vCPU. Printing a line takes 10.5 ms of an emulated CPU, and all vCPUs print
#: to one port.
PERIOD_MS = 60.0


#: The same for a guest with a kernel, which takes each of its own ticks in this time.
KERNEL_PERIOD_MS = 100.0


#: Longest period, for each vCPU, where `auto` meets a timer that can't have every period. Such a
#: timer is not measured: some of its short periods leave a lab no time for anything else.
FIXED_PERIOD_MS = 200.0


#: Period for edits that move the first tick after a load. QEMU takes some 50 ms of an emulated CPU
#: from the restore of the LAPIC until the guest runs on. An early tick must come well after that.
MOVED_PERIODS_MS = {
    Variant.LATE_TICK: 400.0,
    Variant.THIRD_PERIOD: 400.0,
    Variant.EARLY_TICK: 1000.0,
}


#: Few, so that 20 trials have several phases.
LOADS_PER_SAVE = 5


def lab_plan(
    trials: int,
    *,
    modes: Sequence[str] = (DEFAULT_TIMER,),
    period_ms: float | Literal["auto"] | None = None,
    vcpus: int = 1,
    confidence: float = 0.95,
    seed: int | None = None,
    compares_kernels: bool = False,
    variants: Collection[Variant] = (),
    stop_after: int | None = None,
    axes: Mapping[str, object] = MappingProxyType({}),
) -> Plan:
    """Return the plan of a lab run: so many loads of each timer in every arm.

    Args:
        trials: eligible loads of each cell. The plan asks to rule out the loss rate that so
            many loads without a loss just rule out.
        modes: the guest's timers.
        period_ms: the timer's period in emulated milliseconds, or `auto` for the shortest that
            the lab can time. By default it is `auto` where kernels or timers are compared, else as
            long as `vcpus` need to print, and in any case as long as the arms need to show their
            faults, and as each timer can have it. A timer that can't have every period has a
            fixed one also with `auto`.
        vcpus: vCPUs of the guest.
        confidence: confidence of the intervals.
        seed: draws phases and order; drawn at random if it is left out.
        compares_kernels: whether the first tick after a load is the question.
        variants: edits of the arms.
        stop_after: losses diagnosed as the known bug after which a cell ends.
        axes: further settings, as the `[axes]` table of a plan has them. None is no setting.

    Raises:
        PlanError: a value is out of range.
    """
    named = axes.get("guest") or (DEFAULT_GUEST,)
    guests = named if isinstance(named, list | tuple) else (named,)
    kernels = [name for name in guests if name in GUESTS.names and GUESTS[name].kernel_tick_ns]
    moved_ms = max((MOVED_PERIODS_MS.get(each, 0.0) for each in variants), default=0.0)
    auto = period_ms == AUTO or (period_ms is None and compares_kernels and not moved_ms)
    shortest_ms = KERNEL_PERIOD_MS if kernels else PERIOD_MS
    usual_ms = max(FIXED_PERIOD_MS if auto else shortest_ms, moved_ms)
    usual_ns = round(min(usual_ms * vcpus * 1e6, MAX_PERIOD_NS))
    by_period: dict[float | str, list[str]] = {}
    for mode in modes:
        known = mode in TIMERS.names  # an unknown one is refused with all other faults of the plan
        nearest_ns = TIMERS[mode].nearest_period_ns(usual_ns) if known else usual_ns
        if auto and nearest_ns == usual_ns:
            period: float | str = AUTO
        else:
            period = nearest_ns / 1e6 if auto or period_ms is None else period_ms
        by_period.setdefault(period, []).append(mode)
    first, *others = (
        {
            "accel": "kvm",
            "mode": names,
            "period_ms": period,
            "vcpus": vcpus,
            "loads_per_save": LOADS_PER_SAVE,
            **{name: value for name, value in axes.items() if value is not None},
        }
        for period, names in by_period.items()
    )
    return build_plan(
        {
            "seed": seed,
            "axes": first,
            "include": others,
            "limits": {
                "trials": trials,
                "confidence": confidence,
                "rule_out": 1 - (1 - confidence) ** (1 / trials),
                "stop_after": stop_after,
            },
        },
        COMMAND_LINE,
    )
