"""The boot of a host: Linux gives each boot a random name."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.host.protocol import Host

#: Name of the present boot; see random(4).
BOOT_ID = "/proc/sys/kernel/random/boot_id"

#: Name of the installation; see machine-id(5). Without one, or before it has one, there is no
#: file, or the file is empty or says `uninitialized`.
MACHINE_ID = "/etc/machine-id"

#: Name of the computer in its network. Computers with copies of one disk differ in it.
HOST_NAME = "/proc/sys/kernel/hostname"


@dataclass(frozen=True, slots=True)
class Boot:
    """A boot of a machine. Each field is empty if it is not known."""

    id: str = ""
    """The kernel's name for the boot."""
    machine: str = ""
    """A digest of the machine's id and name. machine-id(5) asks not to publish the id itself."""

    def ended_before(self, now: "Boot", *, here: bool = False) -> bool:
        """Return whether the machine of this boot was booted again, so that `now` is its boot.

        Args:
            now: a later boot, or the same one.
            here: whether to take the machines for one if it is not known that they differ.
        """
        known = bool(self.machine and now.machine)
        same = self.machine == now.machine if known else here
        return same and bool(self.id and now.id) and self.id != now.id


async def boot_of(host: Host) -> Boot:
    """Return the present boot of a host."""
    texts = {}
    for path in (BOOT_ID, MACHINE_ID, HOST_NAME):
        try:
            texts[path] = await host.read_file(path)
        except OSError:
            continue
    return _boot(texts)


def boot_here() -> Boot:
    """Return the present boot of this computer."""
    texts = {}
    for path in (BOOT_ID, MACHINE_ID, HOST_NAME):
        try:
            texts[path] = Path(path).read_text(errors="replace")
        except OSError:
            continue
    return _boot(texts)


def _boot(texts: Mapping[str, str]) -> Boot:
    boot, installation, name = (
        texts.get(path, "").strip() for path in (BOOT_ID, MACHINE_ID, HOST_NAME)
    )
    if installation in ("", "uninitialized"):
        return Boot(boot)
    digest = hmac.new(installation.encode(), f"losttick/{name}".encode(), hashlib.sha256)
    return Boot(boot, digest.hexdigest()[:32])
