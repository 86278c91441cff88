"""Keeps one program from outliving the orchestrator. Run as a script, in its own process.

The supervisor makes the program's folder, waits for the word to start, and runs the
program there. As soon as the program ends or the lifeline breaks, it kills the program
and removes the folder, and a folder of the same name in TWINS if there is one. The
lifeline is a pipe whose other end only the orchestrator has: however the orchestrator
ends, the kernel closes the pipe.

The folder stays locked while its supervisor lives, so that a later run can recognize
what a killed supervisor has left (`sweep` in folder.py).

Usage: supervisor.py LIFELINE_FD STATUS_FD FOLDER_PREFIX TWINS|- -- ARGV...

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
import sys

PR_SET_PDEATHSIG = 1


#: As in folder.py, which is not imported here.
MARKER = ".supervised"


def main() -> None:
    """Run one program."""
    lifeline, status = int(sys.argv[1]), int(sys.argv[2])
    prefix, twins = sys.argv[3], sys.argv[4]
    argv = sys.argv[6:]
    folder = prefix + os.urandom(8).hex()
    try:
        os.mkdir(folder, 0o700)
    except OSError as error:
        sys.exit(f"making {folder}: {error.strerror}")
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.close(os.open(MARKER, os.O_WRONLY | os.O_CREAT, dir_fd=lock))
    code = None
    try:
        # Its name alone: the path before it may have any character, a newline as well.
        os.write(status, f"folder {os.path.basename(folder)}\n".encode())
        if os.read(lifeline, 1):
            code = run(argv, folder, lifeline, status, keep={lifeline, status, lock})
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
    """Remove a folder, open as `fd`, with its files."""
    try:
        for name in os.listdir(fd):
            os.unlink(name, dir_fd=fd)
        os.rmdir(folder)
    except OSError:  # it has folders in it, or somebody else has just added a file
        import shutil

        shutil.rmtree(folder, ignore_errors=True)


def run(argv: list[str], folder: str, lifeline: int, status: int, keep: set[int]) -> int:
    """Run `argv` until it ends or the lifeline breaks; return how it ended."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    me = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            # The backstop if this supervisor is killed. The signal follows the thread
            # that forked; this process has only one.
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != me:
                os._exit(1)
            for fd in keep:
                os.set_inheritable(fd, False)
            os.chdir(folder)
            os.execv(argv[0], argv)
        except OSError as error:
            os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
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
    return os.waitstatus_to_exitcode(wait_status)


if __name__ == "__main__":
    main()
