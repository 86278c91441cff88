"""The frequency of a guest's TSC, which does not depend on the guest's timer."""

from orchestrator.qmp.errors import CommandFailedError
from orchestrator.qmp.monitor import Monitor
from orchestrator.vm.config import Accel, InstanceConfig


async def tsc_hz(monitor: Monitor, config: InstanceConfig) -> int:
    """Return the frequency of the guest's TSC, as QEMU has it from KVM; 0 if it has none.

    Under TCG QEMU does not know it. The question does not touch the vCPUs.
    """
    if config.accel is not Accel.KVM:
        return 0
    try:
        vcpus = await monitor.execute("query-cpus-fast")
        path = vcpus[0]["qom-path"]
        hz = await monitor.execute("qom-get", {"path": path, "property": "tsc-frequency"})
    except (CommandFailedError, LookupError, TypeError):
        return 0
    return hz if isinstance(hz, int) else 0
