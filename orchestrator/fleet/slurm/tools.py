"""Runs Slurm's commands, and tells failures that pass from those that stay."""

import asyncio
import os
import re
import shutil
from collections.abc import Mapping, Sequence

from orchestrator.errors import InfraError
from orchestrator.fleet.executor import FleetError
from orchestrator.process.background import in_thread
from orchestrator.process.tool import run_tool
from orchestrator.results.printable import printable

#: Seconds for one command of Slurm. Its own deadline for an answer is 10 s, with some retries.
DEADLINE_S = 60.0

#: Most characters of a program's words that a message quotes.
_MOST_WORDS = 400

#: Words that Slurm prints when the whole engine is in trouble, and what to do then. A job that was
#: refused with any other words will be refused again.
_PASSING = (
    (
        r"[Uu]nable to contact slurm controller|Connection refused|standby mode|Zero Bytes"
        r"|[Cc]ommunication|missing socket|Transport endpoint|Connection reset",
        "Slurm's controller does not answer. Look at slurmctld on its host",
    ),
    (
        r"[Cc]redential (?:expired|rewound)|[Ee]xpired credential|Rewound credential|[Rr]eplayed",
        "munge refuses an old credential. Do the clocks of this host and the controller's agree?",
    ),
    (
        r"[Mm]unge|authentication|Invalid credential",
        "munge does not vouch for this user. Is munged running here and at the controller, with "
        "one key?",
    ),
    (r"[Tt]imed out", "Slurm's controller took too long to answer"),
    (
        r"temporarily|try again|Resource .*unavailable|[Jj]ob ?[Ss]ubmit ?[Ll]imit|MaxSubmitJobs",
        "Slurm takes no more jobs at the moment",
    ),
    (r"No space left|quota", "there is no room for the job's files"),
)

#: Refusals of a job that a user can do something about.
_REFUSED = (
    (
        r"Invalid feature",
        "No node has the features that the job asks for, or two of them exclude each other: "
        "`sinfo -N -o '%N %f'` shows the nodes' features",
    ),
    (
        r"configuration source|process configuration file",
        "This host has no slurm.conf: bring the cluster's to /etc/slurm, or name it in SLURM_CONF",
    ),
    (r"[Ii]nvalid node name", "Slurm has no node of this name: `sinfo -N` lists them"),
    (r"partition", "`sinfo -s` lists the partitions, and [slurm] partition names one"),
    (r"account|association|QOS", "The administrator says with `sacctmgr` who may use Slurm"),
    (r"[Pp]ermission denied|[Aa]ccess", "This user has no right to it: ask the administrator"),
    (r"configuration is not available", "No node fits: see the job's script"),
)


#: Variables of sbatch that say under which of a user's rights jobs run.
_USERS_OWN = frozenset({"SBATCH_QOS", "SBATCH_RESERVATION", "SBATCH_WCKEY"})


class SlurmToolError(InfraError):
    """A command of Slurm failed."""

    def __init__(self, message: str, *, passing: bool) -> None:
        super().__init__(message)
        self.passing = passing
        """True if the same command may succeed later."""

    @property
    def transient(self) -> bool:
        """True if the same command may succeed later."""
        return self.passing


async def ask(command: Sequence[str], doing: str) -> str:
    """Run a command of Slurm and return what it prints.

    Args:
        command: the command and its arguments.
        doing: what it is run for; the error's message begins with it.

    Raises:
        SlurmToolError: it failed, or did not end in time.
        FleetError: it is not installed.
    """
    if shutil.which(command[0]) is None:
        raise FleetError(
            f"{doing}: {command[0]} is not installed. Install Debian's slurm-client, and bring the "
            "cluster's slurm.conf and munge key to this host."
        )
    alone = [*_without(os.environ), *command]
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await in_thread(run_tool, alone, doing, failed=_ToolError)
    except TimeoutError:
        told = f"{doing}: {command[0]} did not end within {DEADLINE_S:.0f} s. Is slurmctld well?"
        raise SlurmToolError(told, passing=True) from None
    except InfraError as error:
        raise explained(str(error)) from None


class _ToolError(InfraError):
    """The command failed."""


def _without(env: Mapping[str, str]) -> list[str]:
    """Return the words before a command that take from it what would change what it is told.

    Variables of sbatch weigh more than the options in a script, and variables of squeue hide jobs.
    """
    hiding = [name for name in env if name.startswith(("SBATCH_", "SQUEUE_"))]
    return ["env", *(f"--unset={name}" for name in sorted(hiding) if name not in _USERS_OWN)]


def explained(words: str) -> SlurmToolError:
    """Return the error for what a command of Slurm printed, with what to do."""
    words = printable(" ".join(words.split())).rstrip(".")[:_MOST_WORDS]
    for pattern, advice in _PASSING:
        if re.search(pattern, words):
            return SlurmToolError(f"{advice} ({words}).", passing=True)
    for pattern, advice in _REFUSED:
        if re.search(pattern, words):
            return SlurmToolError(f"{words}. {advice}.", passing=False)
    return SlurmToolError(f"{words}.", passing=False)
