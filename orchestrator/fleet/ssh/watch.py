"""The watcher of a job, which runs on the host: it runs losttick, and writes down how it ended.

A program of the standard library alone; its arguments are the command. It works in the job's
folder, which `host_side` explains.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def write_json(name: str, **words: Any) -> None:
    """Write a file so that it is there as a whole, or not."""
    new = Path(f".{name}.new")
    with new.open("w") as file:
        json.dump(words, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(name)


def heed() -> None:
    """Heed the signals that the watcher ignores."""
    for each in (signal.SIGHUP, signal.SIGINT):
        signal.signal(each, signal.SIG_DFL)


def watch(command: list[str]) -> None:
    """Run a command to its end. SIGTERM goes on to it."""
    children: list[subprocess.Popen[bytes]] = []

    def end(*_: object) -> None:
        for child in children:
            child.terminate()

    for each in (signal.SIGHUP, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    with Path("running").open("w") as lock:
        # A look at the lock may hold it for a moment.
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, why, began = 127, "", time.time()
        try:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, pass_fds=[lock.fileno()], preexec_fn=heed
            )
            children.append(child)
            signal.signal(signal.SIGTERM, end)
            write_json(
                "job.json", watcher=os.getpid(), pid=child.pid, release=os.uname().release,
                boot_id=Path("/proc/sys/kernel/random/boot_id").read_text().strip(), began=began,
            )  # fmt: skip
            code = child.wait()
        except OSError as error:
            why = f"{command[0]}: {error.strerror}"
        write_json("exit.json", code=code, why=why, began=began, ended=time.time())


if __name__ == "__main__":
    watch(sys.argv[1:])
