"""Tells whether a node of Slurm is fit for its next run, and drains it where it is not.

Slurm runs its HealthCheckProgram as root on each node, and leaves what follows to it
(slurm.conf(5)): an unfit node must drain itself.
"""

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.doctor.findings import Finding
from orchestrator.errors import InfraError
from orchestrator.host.kvm_access import ABSENT, USABLE
from orchestrator.host.local_facts import kvm_device
from orchestrator.process.folder import PREFIX, disk_of, temporary_folder
from orchestrator.process.tool import run_tool
from orchestrator.results.printable import one_line

#: Room that a run needs for its temporary files, with some to spare for its evidence.
ROOM_BYTES = 256 * 1024 * 1024

#: Slurm keeps a node's reason as a short line.
_LONGEST_REASON = 200

#: A part of each supervisor's command line.
_SUPERVISOR = b"supervisor.py"


class DrainError(InfraError):
    """The node could not be drained."""


def health(proc: Path = Path("/proc")) -> list[Finding]:
    """Return what a run needs of this node, good or bad.

    Args:
        proc: where the kernel shows the processes.
    """
    return [_kvm(), _leftovers(proc), _room()]


def _kvm() -> Finding:
    state = kvm_device()
    if state == USABLE:
        return Finding("/dev/kvm", True, "opens")
    seen = "absent" if state == ABSENT else f"can't be opened: {state}"
    return Finding("/dev/kvm", False, seen)


def _leftovers(proc: Path) -> Finding:
    """Return whether a QEMU of losttick's outlived its supervisor: it disturbs the next run."""
    left = [pid for pid in _pids(proc) if _in_run(proc, pid) and not _supervised(proc, pid)]
    if not left:
        return Finding("processes", True, "none is left from a run")
    shown = ", ".join(map(str, left[:5]))
    return Finding("processes", False, f"left from a run that ended: {shown}")


def _pids(proc: Path) -> list[int]:
    return sorted(int(each.name) for each in proc.iterdir() if each.name.isdecimal())


def _in_run(proc: Path, pid: int) -> bool:
    """Return whether a process works in a folder that a supervisor made."""
    try:
        return (proc / str(pid) / "cwd").readlink().name.startswith(PREFIX)
    except OSError:
        return False


def _supervised(proc: Path, pid: int) -> bool:
    """Return whether a supervisor is among the ancestors of a process, or the process is one."""
    for _ in range(100):
        try:
            if _SUPERVISOR in (proc / str(pid) / "cmdline").read_bytes():
                return True
            stat = (proc / str(pid) / "stat").read_text(errors="replace")
            pid = int(stat.rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return True  # it ended meanwhile
        if pid <= 1:
            return False
    return True


def _room() -> Finding:
    try:
        place = temporary_folder()
        free = disk_of(place).free_bytes
    except (OSError, InfraError) as error:
        return Finding("room", False, str(error))
    seen = f"{free // 2**20:,} MiB are free in {place}"
    if free < ROOM_BYTES:
        return Finding("room", False, f"only {seen}: a run needs {ROOM_BYTES // 2**20}")
    return Finding("room", True, seen)


def drain(findings: Sequence[Finding], env: Mapping[str, str] = os.environ) -> str | None:
    """Drain this node of Slurm if it is unfit.

    A node that is drained already, and by whomever, keeps its reason.

    Args:
        findings: of `health`.
        env: the environment. Slurm names the node in SLURMD_NODENAME.

    Returns:
        The reason; None if the node is fit.

    Raises:
        DrainError: Slurm did not do it.
    """
    bad = [f"{each.subject} {each.seen}" for each in findings if not each.good]
    if not bad:
        return None
    reason = one_line(f"losttick: {'; '.join(bad)}")[:_LONGEST_REASON]
    node = env.get("SLURMD_NODENAME") or socket.gethostname().partition(".")[0]
    doing = f"draining {node} ({reason})"
    state = run_tool(
        ("sinfo", "--noheader", "--Node", f"--nodes={node}", "--format=%T"), doing,
        failed=DrainError, missing=DrainError,
    )  # fmt: skip
    if "drain" not in state:
        run_tool(
            ("scontrol", "update", f"NodeName={node}", "State=DRAIN", f"Reason={reason}"), doing,
            failed=DrainError, missing=DrainError,
        )  # fmt: skip
    return reason
