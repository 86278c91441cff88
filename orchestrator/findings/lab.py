"""The identity of a lab's host, which stands beside the numbers of an arm."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LabIdentity:
    """The kernel, the edit and the emulator of one arm of a lab run."""

    kernel: str
    """The name by which the user asked for the kernel, such as `debian:bookworm`."""
    version: str
    """The version of the kernel's package, such as `6.1.176-1`, or a tree's release."""
    variant: str
    """The edit of the kernel's KVM modules; `untouched` for none."""
    apicv: bool
    """True if kvm_intel was loaded with APICv on."""
    emulator: str
    """The emulator, and where it came from."""
    expected: str | None = None
    """The verdict that the arm must get for the lab to prove anything; None if the arm's
    verdict is the question."""
    boot_s: float | None = None
    """Seconds from the start of the emulator to the first message of the agent."""
    edits: tuple[str, ...] = ()
    """Names of the edits with which the KVM modules were built."""
    counters: dict[str, int] = field(default_factory=dict)
    """Counts of the edited module itself, by the name of its parameter."""
    label: str = ""
    """The user's own name for the kernel, or what tells it from another of its version; empty if
    its version does."""
    every: int | None = None
    """For the variant `partial`: the interrupt of 1 in `every` loads is lost."""

    @property
    def name(self) -> str:
        """A name that is unique within a lab run."""
        return f"{self.label or self.version}/{self.variant}" + ("" if self.apicv else "/no-apicv")

    @property
    def untouched(self) -> bool:
        """True if the kernel runs as its distribution built it."""
        return self.variant == "untouched"
