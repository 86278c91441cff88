"""A kernel from a source tree that the user has built."""

from dataclasses import dataclass
from pathlib import Path

from orchestrator.cache.program import shipped
from orchestrator.lab.kernel.kernel import (
    BuildInput,
    Kernel,
    KernelNameError,
    NoKernelSourceError,
)


@dataclass(frozen=True, slots=True)
class Tree:
    """`tree:DIR`: a source tree in which bzImage and modules are built."""

    folder: Path
    name: str
    """The name by which the user asked for the kernel."""

    @classmethod
    def parse(cls, what: str) -> "Tree":
        """Return the source that a name means.

        Raises:
            KernelNameError: no folder is named.
        """
        if not what:
            raise KernelNameError("tree:")
        return cls(Path(what), f"tree:{what}")

    def fetch(self, cache: Path, *, refresh: bool = False) -> Kernel:
        """Return the kernel that was built in the tree; see `KernelSource.fetch`."""
        tree = self.folder
        image, release = tree / "arch/x86/boot/bzImage", tree / "include/config/kernel.release"
        for needed in (image, release):
            if not needed.is_file():
                raise KernelNameError(self.name, f"there is no {needed} (is the kernel built?)")
        paths = {
            "irqbypass": tree / "virt/lib/irqbypass.ko",
            "kvm": tree / "arch/x86/kvm/kvm.ko",
            "kvm-intel": tree / "arch/x86/kvm/kvm-intel.ko",
        }
        modules = {module: path.read_bytes() for module, path in paths.items() if path.is_file()}
        config = tree / "include/config/auto.conf"
        built_in = config.is_file() and "CONFIG_KVM_INTEL=y\n" in config.read_text()
        if "kvm-intel" not in modules and not built_in:
            raise KernelNameError(
                self.name, f"there is no {paths['kvm-intel']}, nor is it built in"
            )
        said = release.read_text().strip()
        return Kernel(self, said, said, image, modules)

    def build_key(self, kernel: Kernel) -> str:
        """Refuse, as `build_input` does."""
        raise self._refusal()

    def build_input(self, kernel: Kernel, folder: Path, cache: Path) -> BuildInput:
        """Refuse: the user builds the modules of a tree."""
        raise self._refusal()

    def _refusal(self) -> NoKernelSourceError:
        edits = shipped("edits/revert_fix.py").parent
        return NoKernelSourceError(
            f"kernel {self.name}: only kernels of packages are edited. Edit the tree by a program "
            f"of {edits}, and build it"
        )
