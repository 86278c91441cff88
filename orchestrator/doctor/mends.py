"""The commands that would mend a host, and the running of those that are safe."""

import os
import sys
from collections.abc import Callable

from orchestrator.doctor.findings import Checkup, Mend
from orchestrator.errors import InfraError
from orchestrator.process.own_command import own_command
from orchestrator.process.tool import run_tool

#: Mount tracefs where the kernel expects it.
MOUNT_TRACEFS = Mend(("mount", "-t", "tracefs", "nodev", "/sys/kernel/tracing"), safe=True)

#: Load kvm_intel again with APICv. Not safe: it fails or disturbs while guests are running.
ENABLE_APICV = Mend(
    ("sh", "-c", "modprobe -r kvm_intel && modprobe kvm_intel enable_apicv=1"), safe=False
)

_APT = "apt-get"


class FixError(InfraError):
    """A mend could not be applied."""


def install(*packages: str) -> Mend:
    """Return the mend that installs Debian packages."""
    return Mend((_APT, "install", "-y", "--no-install-recommends", *packages), safe=True)


def _print(line: str) -> None:
    print(line, file=sys.stderr)


def fix(
    checkup: Checkup,
    say: Callable[[str], None] = _print,
    wanted: Callable[[], bool] = lambda: True,
) -> list[tuple[str, ...]]:
    """Run the safe mends, and return their commands.

    Args:
        checkup: of this host.
        say: is called with each line that a command prints.
        wanted: is asked before each command whether it is to be run.

    Raises:
        FixError: this user is not root, or a command failed.
    """
    mends = checkup.safe_mends
    if mends and os.geteuid() != 0:
        command = f"sudo {own_command()} doctor --fix"
        raise FixError(f"mending this host: only root can. Run `{command}`.")
    done = []
    for mend in mends:
        doing = f"mending this host: {' '.join(mend.command)}"
        if mend.command[0] == _APT and wanted():
            _run((_APT, "-qq", "update"), doing, say)
        if not wanted():
            break
        _run(mend.command, doing, say)
        done.append(mend.command)
    return done


def _run(command: tuple[str, ...], doing: str, say: Callable[[str], None]) -> None:
    """Run a command to its end, and show what it prints.

    Nothing ends it halfway: a package manager would leave packages that are half-configured.

    Raises:
        FixError: it is not installed, or it failed.
    """
    run_tool(
        command, doing, failed=FixError, missing=FixError,
        on_line=say, bound=False,
    )  # fmt: skip
