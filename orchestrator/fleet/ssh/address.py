"""The address of a host."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from orchestrator.fleet.fleet_file import Host, Ssh

#: The port of SSH servers.
SSH_PORT = 22


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a host, and the user as whom we log in."""

    host: Host
    ssh: Ssh
    known_hosts: tuple[Path, ...]
    """The files with the keys of hosts."""

    @property
    def name(self) -> str:
        """The name or address that is connected to."""
        return self.host.address or self.host.name

    @property
    def port(self) -> int | None:
        """The port, if the fleet file names one; else ~/.ssh/config decides."""
        named = self.ssh.port if "port" in self.ssh.model_fields_set else None
        return self.host.port or named

    @property
    def command(self) -> str:
        """The command by which a person connects."""
        words = ["ssh", *(["-p", str(self.port)] if self.port not in (None, SSH_PORT) else [])]
        if self.ssh.known_hosts:
            words += ["-o", f"UserKnownHostsFile={self.known_hosts[0]}"]
        return shlex.join([*words, f"{self.ssh.user}@{self.name}" if self.ssh.user else self.name])
