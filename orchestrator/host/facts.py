"""What a host is: the identity that stands beside every number."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class QemuFacts:
    """One QEMU binary."""

    path: str
    version: str
    sha256: str
    accelerators: tuple[str, ...]
    """Of `kvm` and `tcg`: what this build has, not what the host can use."""
    commands: frozenset[str] = field(default=frozenset(), repr=False)
    """QMP commands."""
    migration: frozenset[str] = field(default=frozenset(), repr=False)
    """Capabilities of its migration, such as `mapped-ram`, and transports, such as `file`."""

    @property
    def has_snapshot_jobs(self) -> bool:
        """Whether it has `snapshot-save` and `snapshot-load` (since 6.0)."""
        return "snapshot-save" in self.commands


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The machine, its kernel and its KVM. None means: could not be read."""

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
    """Where tracefs is mounted and writable."""
    hypervisor: bool
    """Whether this machine is itself a virtual one."""
    qemu: QemuFacts | None
