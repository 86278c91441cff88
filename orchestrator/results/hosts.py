"""The hosts on which the cells of a run were counted."""

from orchestrator.host.facts import HostFacts
from orchestrator.host.identity import differing_facts
from orchestrator.verdict.run import RunResult

#: The parameters of KVM's modules that matter to a reader. The journal has all of them.
TELLING = ("enable_apicv", "avic", "preemption_timer", "pi_inject_timer", "lapic_timer_advance_ns")


def other_hosts(run: RunResult) -> list[tuple[HostFacts, list[str]]]:
    """Return the hosts, other than the run's last one, on which cells got their verdict.

    A cell that had its verdict before the run was resumed on another host keeps the host on
    which it was counted. A lab, or another QEMU that the plan names, is not another host.

    Returns:
        Each host, with the ids of its cells.
    """
    found: list[tuple[HostFacts, list[str]]] = []
    for result in run.cells:
        if result.lab or result.cell.host or not _is_another(result.facts, run.facts):
            continue
        cells = next((cells for facts, cells in found if facts == result.facts), None)
        if cells is None:
            found.append((result.facts, cells := []))
        cells.append(result.cell.id)
    return found


def _is_another(facts: HostFacts, last: HostFacts) -> bool:
    """Return whether these facts belong to another host than the last one of the run."""
    differing = set(differing_facts(facts, last))
    if facts.qemu and last.qemu and facts.qemu.path != last.qemu.path:
        differing.discard("qemu")  # the plan names it
    return bool(differing)
