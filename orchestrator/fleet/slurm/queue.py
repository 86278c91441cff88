"""Slurm's queue, read by one call for all jobs of a user."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from orchestrator.fleet.slurm.scripts import PREFIX

#: The fields to ask for. A width of -O cuts what is longer, so each has room to spare. The reason
#: is the last, because only its text is free. The separator is in no other field.
_FIELDS = ("Name:64", "ArrayJobID:16", "ArrayTaskID:16", "State:24", "exit_code:16",
           "RestartCnt:16", "NodeList:256", "Reason:256")  # fmt: skip

#: All jobs of this user, each element of an array in a line, those that ended lately as well.
COMMAND = ("squeue", "--me", "--array", "--states=all", "--noheader",
           "--Format=" + ",".join(f"{field}|" for field in _FIELDS))  # fmt: skip

_NAME = re.compile(rf"{PREFIX}-([0-9a-f]{{12}})-([0-9]{{1,6}})")

_NUMBER = re.compile(r"[0-9]{1,10}")

#: The states in which a job is over. Slurm knows more, and all others are of living jobs.
OVER = frozenset({
    "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "BOOT_FAIL", "PREEMPTED",
    "OUT_OF_MEMORY", "DEADLINE", "REVOKED",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Job:
    """A job, or an element of an array, as Slurm sees it."""

    batch: int
    """The number of its batch in the fleet."""
    index: int
    """Its index in the array; 0 if it is none."""
    number: int
    """Slurm's number of the job; of the array for an element."""
    state: str
    """In Slurm's words, such as RUNNING."""
    exit_code: int = 0
    """The code that the job's program ended with."""
    signal: int = 0
    """The signal that killed the job's program; 0 if none did."""
    restarts: int = 0
    """The number of times that Slurm began the job anew."""
    node: str = ""
    reason: str = ""
    """The reason why the job waits or failed, in Slurm's words."""

    @property
    def handle(self) -> str:
        """Slurm's name of it."""
        return f"{self.number}_{self.index}" if self.index else str(self.number)

    @property
    def over(self) -> bool:
        """True if it has ended."""
        return self.state in OVER


def read_queue(text: str, identity: str) -> list[Job]:
    """Return the jobs of a fleet.

    Lines of other jobs, and lines that can't be understood, are left out.

    Args:
        text: what `COMMAND` printed.
        identity: of the fleet.
    """
    return list(_jobs(text.split("\n"), identity))


def _jobs(lines: Iterable[str], identity: str) -> Iterator[Job]:
    for line in lines:
        fields = [field.strip() for field in line.split("|", len(_FIELDS) - 1)]
        if len(fields) != len(_FIELDS):
            continue
        name, number, index, state, status, restarts, node, reason = fields
        named = _NAME.fullmatch(name)
        numbers = (number, status, restarts)
        if not named or named[1] != identity or not all(map(_NUMBER.fullmatch, numbers)):
            continue
        if not (_NUMBER.fullmatch(index) or index == "N/A") or not state.isprintable():
            continue
        code, killed = exit_of(int(status))
        yield Job(
            int(named[2]), 0 if index == "N/A" else int(index), int(number), state, code, killed,
            int(restarts), _word(node), _word(reason.removesuffix("|").strip()),
        )  # fmt: skip


def exit_of(status: int) -> tuple[int, int]:
    """Return exit code and signal from a status as wait(2) gives it."""
    return status >> 8 & 0xFF, status & 0x7F


def _word(text: str) -> str:
    """Return a word of Slurm, or nothing where it has none."""
    return "" if text in ("", "None", "(null)", "n/a") else text
