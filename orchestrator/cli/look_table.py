"""Prints a look at a virtual machine."""

from orchestrator.cli.screen import Screen
from orchestrator.cli.table import Table
from orchestrator.cli.text import Styled
from orchestrator.look.look import Condition, Look
from orchestrator.results.sentence import sentence

_STYLES = {
    Condition.FROZEN_BY_BUG: "bold red",
    Condition.FROZEN_OTHERWISE: "bold red",
    Condition.ALIVE: "green",
    Condition.PAUSED: "yellow",
    Condition.UNKNOWN: "yellow",
}


def print_look(screen: Screen, look: Look) -> None:
    """Print the condition of the virtual machine, its grounds, and what would help."""
    table = Table(("vCPU", "condition", "grounds"))
    for vcpu in look.vcpus:
        table.add(str(vcpu.vcpu), styled(vcpu.condition), vcpu.why)
    screen.table(table)
    screen.space()
    screen.prose("This virtual machine: ", styled(look.condition), f". {sentence(look.why)}")
    screen.prose(
        f"The APICv bug on this host: {look.exposure.state}. {sentence(look.exposure.why)}"
    )
    for caveat in look.caveats:
        screen.prose(caveat)
    if look.revive:
        screen.space()
        screen.prose("What helps:")
        for step in look.revive:
            screen.prose(f"- {step}")


def styled(condition: Condition) -> Styled:
    """Return a condition in its colour."""
    return Styled(str(condition), _STYLES[condition])
