"""The frequency of a guest's TSC, which does not depend on the guest's timer."""

from orchestrator.qmp.answers import CpuInfoFast
from orchestrator.qmp.errors import AnswerError, CommandFailedError
from orchestrator.qmp.monitor import Monitor
from orchestrator.vm.config import Accel, InstanceConfig

#: A higher frequency is no frequency of a TSC.
MOST_HZ = 10**12


async def tsc_hz(monitor: Monitor, config: InstanceConfig) -> int:
    """Return the frequency of the guest's TSC, as QEMU has it from KVM; 0 if it has none.

    Under TCG QEMU does not know it. The question does not touch the vCPUs.
    """
    if config.accel is not Accel.KVM:
        return 0
    try:
        first, *_ = await monitor.ask("query-cpus-fast", list[CpuInfoFast])
        asked = {"path": first.qom_path, "property": "tsc-frequency"}
        hz = await monitor.ask("qom-get", int, asked)
        return hz if 0 < hz <= MOST_HZ else 0
    except (CommandFailedError, AnswerError, ValueError):  # a ValueError: there is no vCPU
        return 0
