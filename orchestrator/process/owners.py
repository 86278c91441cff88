"""Tells trusted owners of files from others: this user and root are trusted."""

import grp
import os
import pwd
import stat
from pathlib import Path

#: The attribute that holds a file's access list. The group's mode bits then bound every entry.
_ACCESS_LIST = "system.posix_acl_access"

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def is_trusted(uid: int) -> bool:
    """Return whether a user is this one, or root."""
    return uid in (0, os.geteuid())


def other_writers(fd: int, about: os.stat_result) -> str | None:
    """Return who else can write to an open folder, in words; None if nobody can."""
    if not is_trusted(about.st_uid):
        return f"it belongs to {user_name(about.st_uid)}, who can write to it"
    if about.st_mode & stat.S_IWOTH:
        return "every user can write to it"
    if about.st_mode & stat.S_IWGRP and not (_is_own_group(about.st_gid) and not _has_list(fd)):
        return f"group {_group_name(about.st_gid)} can write to it"
    return None


def who_can_exchange(path: Path, *, may_add: bool) -> str | None:
    """Return who else can put another folder in a folder's place, or exchange what is in it.

    Every folder on the way counts. In a sticky one, such as /tmp, only the owner of an entry can
    exchange it. Links are not looked at: a caller who trusts the answer uses the resolved path.

    Args:
        path: of the folder, resolved. If it is missing, the folder in which it would be made
            counts.
        may_add: whether others may add entries to the folder itself, if it is sticky.

    Returns:
        The words; None if nobody can.

    Raises:
        OSError: a folder on the way can't be reached.
    """
    for place in (path, *path.parents):
        try:
            fd = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            about = os.fstat(fd)
            others = other_writers(fd, about)
        finally:
            os.close(fd)
        if _is_from_outside(about.st_uid):
            others = "others can write to it" if about.st_mode & _OTHERS_WRITE else None
        if is_trusted(about.st_uid) or _is_from_outside(about.st_uid):
            sticky = about.st_mode & stat.S_ISVTX and (may_add or place != path)
            others = None if sticky else others
        if others:
            return f"{place}: {others}"
    return None


def _is_from_outside(uid: int) -> bool:
    """Return whether an owner has no number in this user namespace, as root outside of it has none.

    In such a namespace even /tmp belongs to nobody.
    """
    try:
        lines = Path("/proc/self/uid_map").read_text(errors="replace").splitlines()
        ranges = [tuple(map(int, line.split())) for line in lines]
        nobody = int(Path("/proc/sys/kernel/overflowuid").read_text(errors="replace"))
    except OSError:
        return False
    return uid == nobody and not any(first <= uid < first + n for first, _, n in ranges)


def user_name(uid: int) -> str:
    """Return a user's name, or the number of one who has none."""
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"


def _is_own_group(gid: int) -> bool:
    """Return whether a group is this user's private group, which nobody else is in."""
    try:
        me, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    alone = set(group.gr_mem) <= {me.pw_name}
    return alone and gid == me.pw_gid and group.gr_name == me.pw_name


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _has_list(fd: int) -> bool:
    try:
        return bool(os.getxattr(f"/proc/self/fd/{fd}", _ACCESS_LIST))  # one of O_PATH, too
    except OSError:
        return False
