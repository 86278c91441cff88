"""The timers that a plan can name."""

from orchestrator.registry import Registry
from orchestrator.timers.hv_stimer import HvStimer
from orchestrator.timers.one_shot import OneShot
from orchestrator.timers.periodic import Periodic
from orchestrator.timers.pit import Pit
from orchestrator.timers.rtc import Rtc
from orchestrator.timers.timer import Timer
from orchestrator.timers.tsc_deadline import TscDeadline

#: The first is the default. A user's own timer is added with `TIMERS.add`.
TIMERS: Registry[Timer] = Registry(
    "timer", [OneShot(), Periodic(), TscDeadline(), HvStimer(), Pit(), Rtc()]
)
