"""The steps of a build, which end with us."""

import collections
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence

from orchestrator.errors import InfraError


class ModuleBuildError(InfraError):
    """Modules could not be built."""


class Steps:
    """Runs the steps of a build; they end with us, however we end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: subprocess.Popen[str] | None = None
        self._cancelled = False

    def run(
        self,
        command: Sequence[str],
        doing: str,
        on_line: Callable[[str], None] = lambda line: None,
        hold: Sequence[int] = (),
    ) -> None:
        """Run one step.

        Args:
            command: what to run.
            doing: what for, in a message.
            on_line: hears each line of its output.
            hold: file descriptors that it and all that it starts keep open.

        Raises:
            ModuleBuildError: it failed, or the build was cancelled.
        """
        with self._lock:
            if self._cancelled:
                raise ModuleBuildError(f"{doing}: cancelled")
            process = subprocess.Popen(
                # Should we be killed, so is it (and make stops after the files at hand).
                ["setpriv", "--pdeathsig", "KILL", *command],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, errors="replace", start_new_session=True, pass_fds=hold,
                env={**os.environ, "LC_ALL": "C"},
            )  # fmt: skip
            self._running = process
        assert process.stdout is not None
        tail: collections.deque[str] = collections.deque(maxlen=20)
        try:
            for line in process.stdout:
                on_line(line.strip())
                tail.append(line.strip())
            code = process.wait()
        finally:
            self._end(process)
        if code != 0:
            errors = [line for line in tail if re.search(r"error|Error|not found", line)]
            raise ModuleBuildError(f"{doing}: {'; '.join((errors or [*tail])[:3])}")

    def cancel(self) -> None:
        """End the step at hand, from another thread; no other begins."""
        with self._lock:
            self._cancelled = True
            if self._running and self._running.poll() is None:
                os.killpg(self._running.pid, signal.SIGKILL)

    def _end(self, process: subprocess.Popen[str]) -> None:
        with self._lock:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if process.stdout:
                process.stdout.close()
            self._running = None
