"""Whether this computer's KVM can be used, and what would give a user access to it."""

import contextlib
import getpass
import grp
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import Lack, UnfitError
from orchestrator.host.facts import HostFacts

#: States of /dev/kvm, as `HostFacts.kvm_device` has them. Others say why it can't be opened.
USABLE, ABSENT = "usable", "absent"


class KvmMissingError(UnfitError):
    """A guest can't run under KVM here: there is no KVM, or it can't be used."""

    lacks = Lack.ACCEL


@dataclass(frozen=True, slots=True)
class Access:
    """A command that gives this user access to KVM."""

    command: tuple[str, ...]
    then: str
    """The words that follow the command."""
    as_root: bool = True
    """True if only root can run the command."""

    def __str__(self) -> str:
        sudo = "sudo " if self.as_root else ""
        return f"run `{sudo}{shlex.join(self.command)}`, {self.then}"


def check_kvm(facts: HostFacts) -> None:
    """Check that guests can be started under KVM, as far as the host's facts tell.

    Raises:
        KvmMissingError: there is no KVM, this user has no access to it, or the QEMU lacks it.
    """
    check_device(facts)
    qemu = facts.qemu
    if qemu is not None and "kvm" not in qemu.accelerators:
        raise KvmMissingError(
            f"this host's KVM was not tested: QEMU {qemu.version} ({qemu.path}) was built without "
            "KVM. Name another QEMU with --qemu. `--accel tcg` would test QEMU's own LAPIC instead"
        )


def check_device(facts: HostFacts) -> None:
    """Check that /dev/kvm can be opened.

    Raises:
        KvmMissingError: there is no KVM, or this user has no access to it.
    """
    if facts.kvm_device == ABSENT:
        raise KvmMissingError(
            "there is no KVM here (no /dev/kvm): its module is not loaded, or virtualization is "
            "off in the firmware setup"
        )
    if facts.kvm_device != USABLE:
        access = access_to_kvm()
        then = f" To give this user access, {access}." if access else ""
        raise KvmMissingError(
            f"this host's KVM was not tested: /dev/kvm can't be opened ({facts.kvm_device}).{then} "
            "`--accel tcg` would test QEMU's own LAPIC instead"
        )


def access_to_kvm(device: Path = Path("/dev/kvm")) -> Access | None:
    """Return what lets this user open /dev/kvm: its group, or else an ACL.

    None if the user may open it, or if there is none.
    """
    if os.access(device, os.R_OK | os.W_OK) or not device.exists():
        return None
    user = os.environ.get("SUDO_USER") or _user()
    node, group = device.stat(), None
    if user and node.st_gid and node.st_mode & 0o060 == 0o060:  # not root's group
        with contextlib.suppress(KeyError):
            group = grp.getgrgid(node.st_gid)
    return access_by(group, user or str(os.getuid()), device)


def _user() -> str:
    """Return the name of this user; empty for one of no account, as a container may have."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def access_by(group: grp.struct_group | None, user: str, device: Path) -> Access:
    """Return what gives a user access to a device.

    Args:
        group: the group that may open the device; None if there is none for users.
        user: the name of the user; the number of one without a name, who can be in no group.
        device: the device's node.
    """
    if group is None:
        return Access(("setfacl", "-m", f"u:{user}:rw", str(device)), "then run this again")
    if user in group.gr_mem:  # but this session began before
        return Access(
            ("newgrp", group.gr_name),
            f"or log in again: {user} is in the group {group.gr_name}, but this session is older",
            as_root=False,
        )
    return Access(("usermod", "-aG", group.gr_name, user), "then log in again")
