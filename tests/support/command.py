"""The command `losttick`, started as a user would start it."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path


def losttick_command(*args: str) -> Sequence[str]:
    return [sys.executable, "-m", "orchestrator", *args]


def heed() -> None:
    """Heed signals as at a terminal. A background job of a shell, or nohup, ignores them."""
    for each in (signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_DFL)


@contextlib.contextmanager
def started(
    *args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """Start the command as a terminal would; whatever becomes of the test, it is ended.

    A runner that was itself started in the background ignores signals, and children inherit
    that: here it is as it is for a user.
    """
    process = subprocess.Popen(
        losttick_command(*args), cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, preexec_fn=heed,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
