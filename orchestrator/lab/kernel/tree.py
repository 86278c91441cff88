"""A kernel from a source tree that the user has built.

All that can be known before a boot is looked up before: whether the image, the modules and the
configuration belong together, and whether a lab can run them.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.cache.program import shipped
from orchestrator.lab.kernel.kernel import (
    BuildInput,
    Kernel,
    KernelNameError,
    NoKernelSourceError,
    silent,
)
from orchestrator.lab.kernel.options import AUTO_CONF, faults, read_options
from orchestrator.packages.kernel_image import ImageError, image_release, module_field
from orchestrator.packages.kernel_store import MODULES
from orchestrator.process.existence import exists, no_file, no_folder
from orchestrator.process.tool import run_tool

IMAGE = Path("arch/x86/boot/bzImage")


#: The place of each module in a built tree.
MODULE_PATHS = {
    "irqbypass": Path("virt/lib/irqbypass.ko"),
    "kvm": Path("arch/x86/kvm/kvm.ko"),
    "kvm-intel": Path("arch/x86/kvm/kvm-intel.ko"),
}


#: The options by which each module is built. Newer kernels build kvm.ko by the first of two.
OPTIONS = {
    "irqbypass": ("CONFIG_IRQ_BYPASS_MANAGER",),
    "kvm": ("CONFIG_KVM_X86", "CONFIG_KVM"),
    "kvm-intel": ("CONFIG_KVM_INTEL",),
}


@dataclass(frozen=True, slots=True)
class Tree:
    """`tree:DIR`: a source tree in which bzImage and modules are built."""

    folder: Path
    name: str
    """The name by which the user asked for the kernel."""

    @classmethod
    def parse(cls, what: str) -> "Tree":
        """Return the source that a name means; a shell leaves `~` to losttick here.

        Raises:
            KernelNameError: no folder is named, or a home folder of nobody.
        """
        if not what:
            raise KernelNameError("tree:")
        try:
            folder = Path(what).expanduser()
        except RuntimeError:
            raise KernelNameError(f"tree:{what}", "no user has such a home folder") from None
        return cls(folder.absolute(), f"tree:{what}")

    def check(self, cache: Path) -> None:
        """Refuse a tree whose kernel can't run in a lab."""
        self.fetch(cache)

    def fetch(
        self, cache: Path, *, refresh: bool = False, say: Callable[[str], None] = silent
    ) -> Kernel:
        """Return the kernel that was built in the tree; see `KernelSource.fetch`.

        Its version is the release of the image that boots.
        """
        image = self.folder / IMAGE
        if why := no_folder(self.folder):
            raise KernelNameError(self.name, why)
        if why := no_file(image):
            raise KernelNameError(self.name, f"{why}. Build it: make bzImage")
        try:
            release = image_release(image)
        except ImageError as error:
            raise KernelNameError(self.name, f"{error}. Build it: make bzImage") from None
        modules = self._modules(self._config(), release)
        return Kernel(self, release, release, image, modules)

    def _config(self) -> dict[str, str]:
        try:
            config = read_options(self.folder / AUTO_CONF)
        except OSError as error:
            where = self.folder / AUTO_CONF
            seen = f"reading {where}: {error.strerror}. Configure the tree and build it"
            raise KernelNameError(self.name, seen) from None
        if missing := faults(config):
            raise KernelNameError(
                self.name,
                f"its configuration ({self.folder / AUTO_CONF}) does not do for a lab. It needs: "
                f"{'; '.join(missing)}. Set that, and build anew: make bzImage modules",
            )
        return config

    def _modules(self, config: dict[str, str], release: str) -> dict[str, bytes]:
        """Return the modules of the configuration: an old file of a part built in is none."""
        found: dict[str, bytes] = {}
        for module, options in OPTIONS.items():
            option = next((each for each in options if each in config), options[-1])
            if config.get(option) != "m":
                continue
            path = self.folder / MODULE_PATHS[module]
            if why := no_file(path):
                raise self._stale(f"{why}, though {option}=m")
            found[module] = path.read_bytes()
            built_for = module_field(found[module], "vermagic").split(" ")[0]
            if built_for != release:
                raise self._stale(
                    f"{path} was built for {built_for or 'no release'}, and {IMAGE} is {release}"
                )
        for module, data in found.items():
            self._check_needs(module, data, config, found)
        return found

    def _check_needs(
        self, module: str, data: bytes, config: dict[str, str], found: dict[str, bytes]
    ) -> None:
        """Refuse a module that needs another one that a lab does not load."""
        needed = [name for name in module_field(data, "depends").split(",") if name]
        for name in (each.replace("_", "-") for each in needed):
            if name in found:
                continue
            if name not in MODULES:
                raise KernelNameError(
                    self.name,
                    f"{module}.ko needs {name}.ko, and a lab loads only {', '.join(MODULES)}. "
                    f"Build {name} into the kernel (=y), and then: make bzImage modules",
                )
            options = OPTIONS[name]
            state = next((config[each] for each in options if each in config), "n")
            raise self._stale(f"{module}.ko needs {name}.ko, but {options[-1]}={state} by now")

    def _stale(self, seen: str) -> KernelNameError:
        return KernelNameError(
            self.name, f"{seen}. Image and modules must be of one build: make bzImage modules"
        )

    def marks(self, kernel: Kernel) -> Sequence[str]:
        """Return what git calls the tree, and ever more of its path."""
        parts = self.folder.resolve().parts[1:]
        tails = [":".join(parts[-length:]) for length in range(1, len(parts) + 1)]
        return [self._described(), *tails]

    def _described(self) -> str:
        """Return what git calls the source; a build in a folder of its own has a link to it."""
        places = (self.folder, self.folder / "source")
        source = next((each for each in places if exists(each / ".git")), None)
        if source is None or shutil.which("git") is None:
            return ""
        asked = ["git", "-C", str(source), "describe", "--always", "--dirty"]
        return run_tool(asked, f"describing {source}", must=False).strip()

    def check_variants(self) -> None:
        """Refuse, as `build_input` does."""
        raise self._refusal()

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
