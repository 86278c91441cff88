"""How a program ended."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProcessExit:
    """How a process ended."""

    code: int
    """Exit status; minus the signal number when a signal ended the process."""
    stderr: str
    """The end of what the process wrote to its standard error."""
    of_its_host: bool = False
    """True if its host failed or fell silent: `stderr` then says how the host did."""

    def __str__(self) -> str:
        how = f"signal {-self.code}" if self.code < 0 else f"exit status {self.code}"
        return f"{how}: {self.stderr.strip()}" if self.stderr.strip() else how
