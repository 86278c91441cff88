"""Whether a running guest's LAPIC timer is set as it was in the save."""

from orchestrator.findings.save import VcpuSave
from orchestrator.guest.lapic import parse_lapic
from orchestrator.qmp.errors import CommandFailedError
from orchestrator.vm.instance import Instance


async def timer_differs(instance: Instance, save: VcpuSave) -> str:
    """Return how the LAPIC's timer differs from the save; an empty text if it does not."""
    try:
        lapic = parse_lapic(await instance.monitor.hmp("info lapic", vcpu=save.vcpu))
    except (CommandFailedError, ValueError):
        return ""
    now, then = (lapic.tmict, lapic.divide), (save.tmict, save.divide or lapic.divide)
    if now == then:
        return ""
    return (
        f": TMICT is {now[0]} with divisor {now[1]}, and was {then[0]} with divisor "
        f"{then[1]} in the save"
    )
