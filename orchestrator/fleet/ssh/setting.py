"""The settings that all visits of a fleet share."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.fleet.fleet_file import FleetFile, Host
from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.ssh.address import Address
from orchestrator.fleet.ssh.kept import Kept
from orchestrator.fleet.ssh.reply import Facts
from orchestrator.fleet.task import Task
from orchestrator.process.home import expanded

#: Files in which OpenSSH looks for the keys of hosts.
_KNOWN_HOSTS = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")


@dataclass(frozen=True, slots=True)
class Setting:
    """The settings that all visits of a fleet share."""

    fleet: FleetFile
    base: Path
    """The folder from which paths in the fleet file count."""
    folder: FleetFolder
    kept: Kept
    wheels: Mapping[str, Path]
    """Wheels to install, by SHA-256; none if the hosts have losttick."""
    allow_reboot: bool

    def address(self, host: Host) -> Address:
        """Return where a host is."""
        named = self.fleet.ssh.known_hosts
        if named:
            files = [self.base / expanded(named, "reading the known hosts")]
        else:  # of the usual ones, whichever there are
            files = [Path(os.path.expanduser(each)) for each in _KNOWN_HOSTS]  # noqa: PTH111
        return Address(host, self.fleet.ssh, tuple(files))

    def job(self, facts: Facts, task: Task) -> str:
        """Return the folder of a task on its host."""
        return f"{facts.folder}/runs/{self.kept.id}/{task.id}"

    def entry(self, host: Host, release: str) -> str | None:
        """Return the boot entry of a host's kernel, by what `uname -r` prints."""
        kernels = [host.kernels.get(name, each) for name, each in self.fleet.kernels.items()]
        return next((each.boot_entry for each in kernels if each.release == release), None)
