"""Keeps one program from outliving the orchestrator. Run as a script, in its own process.

The supervisor makes the program's folder, waits for the word to start, and runs the
program there. As soon as the program ends or the lifeline breaks, it kills the program, and
whatever the program has started and left behind. Then it removes the folder, and a folder of
the same name in TWINS if there is one. The lifeline is a pipe whose other end only the
orchestrator has: however the orchestrator ends, the kernel closes the pipe.

The folder stays locked while its supervisor lives, so that a later run can recognize
what a killed supervisor has left (`sweep` in folder.py).

Where USER is given, as UID:GID:GROUP,GROUP:DEVICE (`RunAs` in user.py), the program runs as
that user and gets the folder. The supervisor itself stays root: it has to remove the folder.

Usage: supervisor.py LIFELINE_FD STATUS_FD FOLDER_PREFIX TWINS|- USER|- -- ARGV...

The supervisor reads one byte, the word to start, from LIFELINE_FD. It writes lines to
STATUS_FD: `folder NAME`, then `pid N`, then `exit CODE` (minus the signal number).
"""

# Imports only fast modules: this runs before every QEMU, and pathlib, tempfile and shutil
# take as long to import as QEMU takes to start.
import ctypes
import fcntl
import os
import select
import signal
import stat
import sys

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

#: Constants of <sched.h> and <sys/mount.h>.
CLONE_NEWNS = 0x20000
MS_NOSUID, MS_NOEXEC, MS_BIND, MS_REC, MS_SLAVE = 2, 8, 4096, 16384, 1 << 19
MNT_DETACH = 2


LIBC = ctypes.CDLL(None, use_errno=True)

#: As in folder.py, which is not imported here.
MARKER = ".supervised"


def main() -> None:
    """Run one program."""
    lifeline, status = int(sys.argv[1]), int(sys.argv[2])
    prefix, twins = sys.argv[3], sys.argv[4]
    user = None if sys.argv[5] == "-" else sys.argv[5]
    argv = sys.argv[7:]
    folder = prefix + os.urandom(8).hex()
    try:
        os.mkdir(folder, 0o700)
    except OSError as error:
        sys.exit(f"making {folder}: {error.strerror}")
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    if os.fstat(lock).st_uid != os.geteuid():
        sys.exit(f"making {folder}: another user's folder is in its place")
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.close(os.open(MARKER, os.O_WRONLY | os.O_CREAT, dir_fd=lock))
    code = None
    try:
        # Its name alone: the path before it may have any character, a newline as well.
        os.write(status, f"folder {os.path.basename(folder)}\n".encode())
        if os.read(lifeline, 1):
            code = run(argv, folder, lock, lifeline, status, user)
    except BrokenPipeError:
        pass  # the orchestrator is gone: only the folder is left to remove
    finally:
        remove(folder, lock)
        if twins != "-":
            try:
                os.rmdir(os.path.join(twins, os.path.basename(folder)))
            except OSError:
                pass  # there is none
    if code is not None:
        try:
            os.write(status, f"exit {code}\n".encode())
        except BrokenPipeError:
            pass  # the orchestrator is gone


def remove(folder: str, fd: int) -> None:
    """Remove a folder, open as `fd`, with all that is in it, as far as that is possible."""
    for _ in range(3):  # somebody may just add a file
        try:
            empty(fd)
            os.rmdir(folder)
            return
        except OSError:
            pass


def empty(fd: int) -> None:
    """Remove all that is in an open folder, whatever its modes are. No link is followed.

    Folders in it are moved up before their turn comes, so that no depth is too deep.

    Raises:
        OSError: something can't be removed.
    """
    give_back(fd)
    while folders := [name for name in os.listdir(fd) if not unlinked(name, fd)]:
        for name in folders:
            inner = open_to_us(name, fd)
            try:
                for each in os.listdir(inner):
                    if not unlinked(each, inner):
                        os.close(open_to_us(each, inner))  # else it could not be moved
                        new = os.urandom(8).hex()
                        os.rename(each, new, src_dir_fd=inner, dst_dir_fd=fd)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=fd)


def unlinked(name: str, at: int) -> bool:
    """Remove a file from an open folder; return False if it is a folder."""
    try:
        os.unlink(name, dir_fd=at)
    except IsADirectoryError:
        return False
    return True


def open_to_us(name: str, at: int | None = None) -> int:
    """Open a folder that may be closed to its own user, after opening it to this user.

    Raises:
        OSError: it is no folder, a link, or can't be opened.
    """
    path = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
    try:
        give_back(path)
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=path)
    finally:
        os.close(path)


def give_back(fd: int) -> None:
    """Let the user of an open folder do everything in it. A root without CAP_FOWNER can already."""
    about = os.fstat(fd)
    if about.st_uid == os.geteuid() and about.st_mode & 0o700 != 0o700:
        os.chmod(f"/proc/self/fd/{fd}", 0o700)  # a descriptor of O_PATH has no fchmod


def hand_over(uid: int, gid: int) -> None:
    """Give the working folder and its files to a user. The marker stays the supervisor's."""
    for name in os.listdir():
        if name != MARKER:
            os.chown(name, uid, gid, follow_symlinks=False)
    os.chown(".", uid, gid)


def become(user: str, folder: str) -> None:
    """Become a user without any privilege of root's, for good, and give it the working folder.

    Raises:
        OSError: the kernel refuses it.
    """
    *ids, groups, device = user.split(":", 3)
    uid, gid = map(int, ids)
    hand_over(uid, gid)
    if device:
        open_device(device, folder, uid, gid)
    os.setgroups([int(group) for group in groups.split(",") if group])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    must("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def open_device(device: str, folder: str, uid: int, gid: int) -> None:
    """Put a device file that a user may open in the place of one that the user may not open.

    Only this process and those that it starts see the new file: they have a mount namespace
    of their own.

    Raises:
        OSError: the kernel refuses it.
    """
    number = os.stat(device).st_rdev
    must("unshare", CLONE_NEWNS)
    must("mount", b"none", b"/", None, MS_REC | MS_SLAVE, None)  # later mounts stay in here
    place, node = folder.encode(), f"{folder}/device"
    must("mount", b"none", place, b"tmpfs", MS_NOSUID | MS_NOEXEC, b"size=4k,mode=700")
    os.mknod(node, stat.S_IFCHR, number)
    os.chmod(node, 0o600)
    os.chown(node, uid, gid)
    must("mount", node.encode(), device.encode(), None, MS_BIND, None)
    must("umount2", place, MNT_DETACH)  # the bind mount keeps the file


def must(function: str, *args: object) -> None:
    """Call a function of the C library.

    Raises:
        OSError: it failed.
    """
    given = [ctypes.c_ulong(arg) if isinstance(arg, int) else arg for arg in args]
    if getattr(LIBC, function)(*given) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{function}: {os.strerror(error)}")


def run(
    argv: list[str], folder: str, lock: int, lifeline: int, status: int, user: str | None
) -> int:
    """Run `argv` until it ends or the lifeline breaks; return how it ended."""
    me = os.getpid()
    must("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        pid = os.fork()
    except OSError as error:
        os.write(2, f"starting a process: {error.strerror}\n".encode())
        return 127
    if pid == 0:
        doing = argv[0]
        try:
            os.fchdir(lock)  # whatever has its name by now
            if user:
                doing = f"becoming the user {user}"
                become(user, folder)
                doing = argv[0]
            # The backstop if this supervisor is killed. The signal follows the thread
            # that forked; this process has only one. A change of user ends this setting.
            must("prctl", PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
            if os.getppid() != me:
                os._exit(1)
            for fd in (lifeline, status, lock):
                os.set_inheritable(fd, False)
            os.execv(argv[0], argv)
        except OSError as error:
            os.write(2, f"{doing}: {error.strerror}\n".encode())
        finally:
            os._exit(127)
    os.write(status, f"pid {pid}\n".encode())
    pidfd = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.register(lifeline, select.POLLIN)
    ready = {fd for fd, _ in poll.poll()}
    if pidfd not in ready:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    _, wait_status = os.waitpid(pid, 0)
    end_orphans()
    return os.waitstatus_to_exitcode(wait_status)


def end_orphans() -> None:
    """Kill what the program started and did not end itself: this process is the parent now."""
    while True:
        try:
            with open(f"/proc/self/task/{os.getpid()}/children") as file:
                orphans = [int(pid) for pid in file.read().split()]
        except OSError:
            return  # the kernel does not list them
        if not orphans:
            return
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)
        for pid in orphans:
            os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
