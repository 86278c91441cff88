"""Facts of a host: they are kept beside every number that was measured on it."""

from dataclasses import dataclass, field

from orchestrator.host.errors import NoFactsError


@dataclass(frozen=True, slots=True)
class QemuFacts:
    """One QEMU binary."""

    path: str
    version: str
    sha256: str
    accelerators: tuple[str, ...]
    """`kvm` and `tcg`, as far as this build has them, whether or not the host can use them."""
    commands: frozenset[str] = field(default=frozenset(), repr=False)
    """QMP commands."""
    migration: frozenset[str] = field(default=frozenset(), repr=False)
    """Migration capabilities, such as `mapped-ram`, and transports, such as `file`."""
    machines: tuple[str, ...] = field(default=(), repr=False, compare=False)
    """Machine types."""
    machine_aliases: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Machine types by their other names, such as `pc`: `pc-i440fx-7.2`."""
    sandbox: bool = field(default=False, compare=False)
    """Whether this QEMU can forbid itself system calls that it does not need (`-sandbox`)."""

    @property
    def has_snapshot_jobs(self) -> bool:
        """Whether this QEMU has `snapshot-save` and `snapshot-load` (since 6.0)."""
        return "snapshot-save" in self.commands


@dataclass(frozen=True, slots=True)
class HostFacts:
    """A computer, its kernel, its KVM and its QEMU. None means that a fact could not be read."""

    kernel: str
    """`uname -r`."""
    kernel_build: str
    """`uname -v`."""
    cpu: str
    vendor: str
    """CPUID vendor, such as `GenuineIntel`."""
    family_model_stepping: str
    microcode: str | None
    cpus: int
    vmx_flags: tuple[str, ...]
    """The `vmx flags` line of /proc/cpuinfo."""
    kvm_modules: dict[str, dict[str, str]]
    """Loaded KVM modules and their parameters, such as `kvm_intel`: `enable_apicv`: `Y`."""
    kvm_device: str
    """State of /dev/kvm: `usable`, `absent`, or why it can't be opened."""
    tracefs: str | None
    """Mount point of a tracefs that is writable."""
    hypervisor: bool
    """Whether the computer is itself a virtual one."""
    qemu: QemuFacts | None
    """None only where there is no QEMU, as in a checkup of a computer without one."""
    clocksource: str | None = None
    """The kernel's present clock source, such as `tsc`."""
    qemu_user: str | None = field(default=None, compare=False)
    """The user as whom QEMU runs, such as `root`; None if not known."""

    @property
    def synchronises_tscs(self) -> bool:
        """Whether the TSCs of the host's CPUs agree, as far as is known.

        Linux takes another clock source than the TSC once it has seen that they do not. Below
        another hypervisor it often takes that one's clock, and then nothing tells.
        """
        return self.clocksource in (None, "tsc")

    def need_qemu(self) -> QemuFacts:
        """Return the facts of the host's QEMU.

        Raises:
            NoFactsError: they were never read.
        """
        if self.qemu is None:
            raise NoFactsError
        return self.qemu
