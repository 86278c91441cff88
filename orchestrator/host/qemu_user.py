"""The user as whom QEMU runs: another one than root, wherever losttick itself runs as root.

By default this is a user who exists nowhere else, so that no other process of the computer may
touch QEMU, and QEMU may touch none.
"""

import grp
import os
import pwd
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.process.supervised import ProcessStartError, supervise
from orchestrator.process.user import RunAs

#: Numbers of users who exist only while something runs; systemd takes its own from here too.
_SHORT_LIVED = range(61184, 65520)

#: The capabilities that root needs to give a program and its folder to another user, by number.
_NEEDED = {"CHOWN": 0, "DAC_OVERRIDE": 1, "KILL": 5, "SETGID": 6, "SETUID": 7}

#: The kernel takes this number for no user.
_NO_USER = 2**32 - 1

KVM = "/dev/kvm"


class QemuUserError(InputError):
    """QEMU can't run as the user who was named, or not as any other user than root."""


@dataclass(frozen=True, slots=True)
class QemuUser:
    """The user as whom QEMU runs."""

    name: str
    """The user in words: `root`, a user's name, or `user N`."""
    run_as: RunAs | None = None
    """None if this is losttick's own user."""
    why_root: str = ""
    """Why QEMU runs as root though nobody asked for it; empty if it does not."""

    @property
    def note(self) -> str:
        """A note about this for a person; empty if there is nothing to note."""
        return f"QEMU runs as root, as {self.why_root}" if self.why_root else ""


async def choose_user(
    wanted: str | None, program: Sequence[str], environment: Mapping[str, str]
) -> QemuUser:
    """Return the user as whom to run QEMU.

    Args:
        wanted: name or number of the user; None for losttick's own user, or for a user
            without privileges if that is root.
        program: QEMU's binary, after the command that runs it if there is one.
        environment: variables that are added to QEMU's environment. The dynamic loader leaves
            out a library of LD_PRELOAD that the user may not read.

    Raises:
        QemuUserError: losttick may not run QEMU as this user, or this user may not run it.
    """
    me = os.geteuid()
    if wanted is not None:
        uid, gid, groups = _look_up(wanted)
        if uid == me:
            return QemuUser(_name(me))
        if me != 0:
            raise QemuUserError(
                f"running QEMU as {wanted}: only root can run QEMU as another user. "
                f"Leave --qemu-user out: QEMU runs as {_name(me)}."
            )
        name = _name(uid)
    elif me != 0:
        return QemuUser(_name(me))
    elif missing := _missing_capabilities():
        return QemuUser("root", why_root=f"this root lacks CAP_{missing}")
    else:
        uid = gid = _unused_number()
        if not (_mapped("uid", uid) and _mapped("gid", gid)):
            # This root is an ordinary user outside its user namespace, which has no other users.
            return QemuUser("root")
        name, groups = f"user {uid}", ()
    user = RunAs(uid, gid, tuple(sorted({*groups, *_kvm_group()})), _kvm_device())
    if user.device and not await _passes(user, "-w", KVM):
        if wanted is None:
            return QemuUser(
                "root",
                why_root=f"only root may open {KVM} (`chgrp kvm {KVM} && chmod g+rw {KVM}` lets "
                "another user open it)",
            )
        user = RunAs(uid, gid, user.groups)
    libraries = environment.get("LD_PRELOAD", "").replace(":", " ").split()
    for path in (*program, *libraries):
        if path.startswith("/") and not await _may_run(user, path):
            if wanted is None:
                why = f"only root may run {path} (put it where every user may read it)"
                return QemuUser("root", why_root=why)
            raise QemuUserError(
                f"running QEMU as {name}: this user may not run {path}. "
                "Put it where every user may read it, or choose another user with --qemu-user."
            )
    return QemuUser(name, user)


def _look_up(wanted: str) -> tuple[int, int, tuple[int, ...]]:
    """Return the numbers of a user, of the user's group, and of the user's other groups.

    Raises:
        QemuUserError: there is no such user.
    """
    number = int(wanted) if re.fullmatch(r"[0-9]{1,10}", wanted) else -1
    if number >= _NO_USER:
        raise _no_such_user(wanted)
    try:
        found = pwd.getpwuid(number) if number >= 0 else pwd.getpwnam(wanted)
    except (KeyError, ValueError):
        if number < 0:
            raise _no_such_user(wanted) from None
        return number, number, ()
    return found.pw_uid, found.pw_gid, tuple(os.getgrouplist(found.pw_name, found.pw_gid))


def _no_such_user(wanted: str) -> QemuUserError:
    return QemuUserError(f"running QEMU as {wanted!r}: there is no such user")


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _missing_capabilities() -> str:
    """Return the first of the needed capabilities that this process lacks; empty if it has all."""
    status = Path("/proc/self/status").read_bytes()  # its Name may have any bytes
    (line,) = (line for line in status.split(b"\n") if line.startswith(b"CapEff:"))
    held = int(line.split()[1], 16)
    return next((name for name, number in _NEEDED.items() if not held >> number & 1), "")


def _unused_number() -> int:
    """Return a number that neither a user nor a group has."""
    while True:
        number = random.choice(_SHORT_LIVED)
        try:
            pwd.getpwuid(number)
        except KeyError:
            try:
                grp.getgrgid(number)
            except KeyError:
                return number


def _mapped(kind: str, number: int) -> bool:
    """Return whether a user or group exists in this user namespace."""
    lines = Path(f"/proc/self/{kind}_map").read_text(errors="replace").splitlines()
    ranges = (map(int, line.split()) for line in lines)
    return any(first <= number < first + length for first, _, length in ranges)


def _kvm_group() -> set[int]:
    """Return the group that may open /dev/kvm, if a group may. It is never root's group."""
    try:
        node = Path(KVM).stat()
    except OSError:
        return set()
    return {node.st_gid} if _opens_to_its_group(node) else set()


def _kvm_device() -> str:
    """Return /dev/kvm if neither a group that QEMU may have nor everybody may open it; else ""."""
    try:
        node = Path(KVM).stat()
    except OSError:
        return ""
    return "" if _opens_to_its_group(node) or node.st_mode & 0o006 == 0o006 else KVM


def _opens_to_its_group(node: os.stat_result) -> bool:
    """Return whether a group may open a device. Root's group would open much else to QEMU."""
    return node.st_gid != 0 and node.st_mode & 0o060 == 0o060


async def _may_run(user: RunAs, path: str) -> bool:
    """Return whether a user may read and run a program."""
    if _open_to_all(Path(path)):
        return True
    return await _passes(user, "-r", path) and await _passes(user, "-x", path)


def _open_to_all(path: Path) -> bool:
    """Return whether every user may read and run a program, by its mode and its folders'."""
    try:
        real = path.resolve(strict=True)
        folders = {*path.parents, *real.parents}
        return real.stat().st_mode & 0o005 == 0o005 and all(
            folder.stat().st_mode & 0o001 for folder in folders
        )
    except OSError:
        return False


async def _passes(user: RunAs, test: str, path: str) -> bool:
    """Return whether a file passes a test of test(1) in a user's eyes."""
    try:
        program = await supervise(
            ["/usr/bin/test", test, path], {}, what=f"test {test} {path}", user=user
        )
    except ProcessStartError:
        return False
    try:
        return (await program.exited()).code == 0
    finally:
        await program.kill()
