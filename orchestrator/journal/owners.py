"""Tells trusted owners of files from others: this user and root are trusted."""

import grp
import os
import pwd
import stat

#: The attribute that holds a file's access list. The group's mode bits then bound every entry.
_ACCESS_LIST = "system.posix_acl_access"


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
