"""Says which kernel a name of a lab's arm stands for, and what booted."""

from collections.abc import Iterable

from orchestrator.cli.screen import Screen
from orchestrator.findings.lab import LabIdentity
from orchestrator.host.facts import HostFacts


def print_kernels(screen: Screen, arms: Iterable[tuple[LabIdentity, HostFacts | None]]) -> None:
    """Print a line for each kernel that the output calls by another name than its version.

    Args:
        screen: where to print.
        arms: each arm, and the facts of its host if it booted.
    """
    lines: dict[str, str] = {}
    for lab, facts in arms:
        if lab.label and (facts or lab.label not in lines):
            booted = f"booted as {facts.kernel}" if facts else "did not boot"
            lines[lab.label] = f"{lab.label}: {lab.kernel}, {booted}."
    for line in lines.values():
        screen.prose(line)
