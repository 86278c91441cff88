"""Finds clusters that would run jobs again which found something."""

import re

from orchestrator.fleet.believed import JUDGED
from orchestrator.fleet.executor import FleetError

#: Prints the cluster's configuration.
COMMAND = ("scontrol", "show", "config")

_SETTING = re.compile(r"^(RequeueExit|RequeueExitHold)\s*=\s*([0-9,\-]{1,1000})\s*$", re.MULTILINE)


def check_requeue(config: str) -> None:
    """Check that the cluster takes losttick's verdicts for ends of jobs.

    Args:
        config: what `COMMAND` printed.

    Raises:
        FleetError: Slurm would begin a job anew, or hold it, because of its verdict.
    """
    for setting, codes in _SETTING.findall(config):
        if again := sorted(JUDGED.intersection(_codes(codes)) - {0}):
            listed = ", ".join(str(int(code)) for code in again)
            raise FleetError(
                f"beginning the fleet: {setting}={codes} in slurm.conf makes Slurm run a job again "
                f"that ends with {listed}. These are verdicts of losttick. Nothing was submitted. "
                "Ask Slurm's administrator to leave them out."
            )


def _codes(listed: str) -> set[int]:
    """Return the exit codes in a list such as 1-3,18. What is no code is left out."""
    found: set[int] = set()
    for part in listed.split(","):
        first, _, last = part.partition("-")
        if first.isdecimal() and (last or first).isdecimal():
            found.update(range(min(int(first), 256), min(int(last or first), 255) + 1))
    return found
