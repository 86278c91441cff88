"""The user as whom a program runs, where losttick runs as root."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunAs:
    """Another user than losttick's own. The supervisor becomes this user to run the program."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    """Supplementary groups."""
    device: str = ""
    """A device file that this user may not open. The program finds another file of the same
    device in its place, in a mount namespace of its own; empty if no device is needed."""

    def __str__(self) -> str:
        """Return the user as `supervisor.py` reads it from its command line."""
        groups = ",".join(map(str, self.groups))
        return f"{self.uid}:{self.gid}:{groups}:{self.device}"
