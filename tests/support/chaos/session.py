"""One process of a run, and the steps that its journal shows."""

import contextlib
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.chaos.place import Place
from tests.support.command import losttick_command
from tests.support.processes import marked_processes

#: Time between two looks at a run.
LOOK_S = 0.005

#: The words that tell a record of the journal, by the name of its step.
STEPS = {
    "qemu": b'{"record":"instance"',
    "save": b'{"record":"save"',
    "trial": b'{"record":"trial"',
    "control": b'"role":"control"',
}


class Session:
    """A run from its start to its end, or to the moment when it is ended."""

    def __init__(self, place: Place, out: Path, args: Sequence[str], number: int) -> None:
        """Start the command.

        Args:
            place: where the round takes place.
            out: the run's output folder.
            args: of the command.
            number: of the session in its round.
        """
        self.place = place
        self.began = time.monotonic()
        self.interrupted: float | None = None
        """When it was told to end."""
        self.took_s = 0.0
        """Time that it took to end after that."""
        self.allowed = set[int]()
        """Exit codes that the faults of this session explain."""
        self._journal = out / "journal.jsonl"
        self._read = self._journal.stat().st_size if self._journal.exists() else 0
        self._rest = b""
        self._seen = Counter[str]()
        self._undo: list[tuple[float, Callable[[], None]]] = []
        self._stdout = place.folder / f"stdout-{number}"
        self._stderr = place.folder / f"stderr-{number}"
        with self._stdout.open("wb") as stdout, self._stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                losttick_command(*args), cwd=place.folder, env=place.environment,
                stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
            )  # fmt: skip

    # --- what becomes of it ---

    def look(self) -> None:
        """Read what the journal has got, and undo what is due."""
        for due, undo in list(self._undo):
            if time.monotonic() >= due:
                self._undo.remove((due, undo))
                undo()
        with contextlib.suppress(FileNotFoundError), self._journal.open("rb") as journal:
            journal.seek(self._read)
            new = journal.read()
            self._read += len(new)
            *lines, self._rest = (self._rest + new).split(b"\n")
            for line in lines:
                self._seen.update(name for name, words in STEPS.items() if words in line)

    def reaches(self, step: str, times: int, within_s: float) -> bool:
        """Wait until the journal has got so many records of a step; False if it has not."""
        wanted = self._seen[step] + times
        until = time.monotonic() + within_s
        while self.running and time.monotonic() < until:
            self.look()
            if self._seen[step] >= wanted:
                return True
            time.sleep(LOOK_S)
        return False

    def passes(self, seconds: float) -> None:
        """Let some time pass."""
        until = time.monotonic() + seconds
        while self.running and time.monotonic() < until:
            self.look()
            time.sleep(min(LOOK_S, max(0.0, until - time.monotonic())))
        if not self.running and self.interrupted is not None and not self.took_s:
            self.took_s = time.monotonic() - self.interrupted

    def ends(self, within_s: float) -> bool:
        """Wait for the end of the process; False if it does not end."""
        self.passes(within_s)
        return not self.running

    def later(self, seconds: float, undo: Callable[[], None]) -> None:
        """Undo something after some seconds, or when the session is over."""
        self._undo.append((time.monotonic() + seconds, undo))

    def close(self) -> None:
        """End the process if it still runs, and undo whatever lasts."""
        while self._undo:
            self._undo.pop()[1]()
        if self.running:
            self.process.kill()
        self.process.wait()

    # --- what it is ---

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self.process.poll() is None

    @property
    def code(self) -> int:
        """The exit code; minus the signal's number if a signal ended it."""
        return self.process.wait()

    @property
    def errors(self) -> str:
        """The text that the process wrote to standard error."""
        return self._stderr.read_text(errors="replace")

    def qemus(self) -> list[int]:
        """Return the processes that are QEMUs."""
        return [pid for pid, line in self._found().items() if _is_qemu(line)]

    def supervisors(self) -> list[int]:
        """Return the processes that are supervisors."""
        return [pid for pid, line in self._found().items() if "supervisor.py" in line]

    def _found(self) -> dict[int, str]:
        return marked_processes(self.place.marker)


def _is_qemu(line: str) -> bool:
    return "qemu-system" in line.partition("\0")[0] and "-chardev" in line
