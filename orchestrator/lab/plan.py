"""The plan of a lab run."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from orchestrator.guest.config import DEFAULT_TIMER, MAX_PERIOD_NS
from orchestrator.plan.load import COMMAND_LINE, build_plan
from orchestrator.plan.plan import Plan

#: Period for each vCPU. Printing a line takes 10.5 ms of an emulated CPU, and all vCPUs print
#: to one port.
PERIOD_MS = 60.0


#: Period when kernels or timers are compared: long enough to tell when the first tick came,
#: also where this host is busy between the load and `cont`.
KERNELS_PERIOD_MS = 200.0


#: Few, so that 20 trials have several phases.
LOADS_PER_SAVE = 5


def lab_plan(
    trials: int,
    *,
    modes: Sequence[str] = (DEFAULT_TIMER,),
    period_ms: float | None = None,
    vcpus: int = 1,
    confidence: float = 0.95,
    seed: int | None = None,
    compares_kernels: bool = False,
    axes: Mapping[str, object] = MappingProxyType({}),
) -> Plan:
    """Return the plan of a lab run: so many loads of each timer in every arm.

    Args:
        trials: eligible loads of each cell. The plan asks to rule out the loss rate that so
            many loads without a loss just rule out.
        modes: the guest's timers.
        period_ms: the timer's period in emulated milliseconds. By default it is as long as
            `vcpus` need to print.
        vcpus: vCPUs of the guest.
        confidence: confidence of the intervals.
        seed: draws phases and order; drawn at random if it is left out.
        compares_kernels: whether the first tick after a load is the question.
        axes: further settings, as the `[axes]` table of a plan has them. None is no setting.

    Raises:
        PlanError: a value is out of range.
    """
    usual_ms = KERNELS_PERIOD_MS if compares_kernels else PERIOD_MS
    return build_plan(
        {
            "seed": seed,
            "axes": {
                "accel": "kvm",
                "mode": list(modes),
                "period_ms": period_ms or min(usual_ms * vcpus, MAX_PERIOD_NS / 1e6),
                "vcpus": vcpus,
                "loads_per_save": LOADS_PER_SAVE,
                **{name: value for name, value in axes.items() if value is not None},
            },
            "limits": {
                "trials": trials,
                "confidence": confidence,
                "rule_out": 1 - (1 - confidence) ** (1 / trials),
            },
        },
        COMMAND_LINE,
    )
