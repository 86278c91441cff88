"""The direct test in a lab: a kernel of one's choice on an emulated CPU with APICv."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.direct.program import build
from orchestrator.direct.run import ProbeResult, collect, probe_arguments
from orchestrator.host.facts import HostFacts
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.emulator.boot import Lab
from orchestrator.lab.emulator.media import boot_cd, initrd
from orchestrator.lab.host.host import lab_facts
from orchestrator.lab.host.image import lab_files
from orchestrator.lab.kernel.kernel import Kernel
from orchestrator.process.background import in_thread


@dataclass(frozen=True, slots=True)
class LabProbe:
    """What the probe found in a lab."""

    kernel: str
    facts: HostFacts
    result: ProbeResult


async def probe_in_lab(
    bochs: Bochs,
    kernel: Kernel,
    host: HostFacts,
    trials: int,
    period_ns: int,
    tmccts_ns: Sequence[int],
    *,
    apicv: bool = True,
    progress: Callable[[int], None] = lambda done: None,
) -> LabProbe:
    """Boot a kernel, untouched, and run the probe in it.

    Args:
        bochs: the emulator.
        kernel: what to boot.
        host: this machine's facts: those of the lab take the place of what it emulates.
        trials: for each TMCCT.
        period_ns: the timer's initial count.
        tmccts_ns: current counts to restore.
        apicv: whether kvm_intel is loaded with `enable_apicv=1`.
        progress: hears how many trials are done, now and then.

    Raises:
        LabError: the lab failed.
        PackagesError, NoCompilerError: what it is made of can't be had.
    """
    arguments = probe_arguments(trials, period_ns, tmccts_ns)
    lab = Lab(bochs, await in_thread(_cd, kernel, arguments, apicv))
    async with contextlib.aclosing(lab.lines()) as lines:
        result = await collect(lines, len(tmccts_ns), progress)
    facts = lab_facts(host, lab, cpus=1)
    return LabProbe(kernel.name, facts, result)


def _cd(kernel: Kernel, arguments: Sequence[str], apicv: bool) -> bytes:
    files = {
        **lab_files(kernel, " ".join(("/bin/probe", *arguments)), apicv=apicv),
        "bin/probe": build().read_bytes(),
    }
    return boot_cd(kernel.image, initrd(files))
