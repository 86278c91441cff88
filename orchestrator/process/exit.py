"""How a program ended."""

import signal
from dataclasses import dataclass

#: Characters of last words that are kept.
_LONGEST_WORDS = 300

#: The meaning of SIGSYS, and advice.
_SIGSYS = (
    "SIGSYS: its sandbox forbids a system call that it made. The kernel's log has the call's "
    "number: `dmesg | grep 'sig=31'`. If an option given by --qemu-arg needs the call, add "
    "--qemu-arg=-sandbox --qemu-arg=off"
)


@dataclass(frozen=True, slots=True)
class ProcessExit:
    """How a process ended."""

    code: int
    """Exit status; minus the signal number when a signal ended the process."""
    stderr: str
    """The end of what the process wrote to its standard error."""
    of_its_host: bool = False
    """True if its host failed or fell silent: `stderr` then says how the host did."""

    @property
    def by(self) -> str:
        """The signal or the exit status by which it ended, in words."""
        if self.code >= 0:
            return f"exit status {self.code}"
        try:
            return signal.Signals(-self.code).name
        except ValueError:
            return f"signal {-self.code}"

    @property
    def lines(self) -> list[str]:
        """The lines that it wrote to its standard error, in printable ASCII."""
        lines = (line.strip() for line in self.stderr.splitlines())
        return [line.encode("unicode_escape").decode()[:_LONGEST_WORDS] for line in lines if line]

    @property
    def last_words(self) -> str:
        """The last of these lines."""
        return (self.lines or [""])[-1]

    def __str__(self) -> str:
        how = f"signal {-self.code}" if self.code < 0 else f"exit status {self.code}"
        if self.code == -signal.SIGSYS:
            how += f" ({_SIGSYS})"
        return f"{how}: {self.stderr.strip()}" if self.stderr.strip() else how
