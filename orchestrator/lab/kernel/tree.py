"""A kernel of a source tree that the user has built."""

from pathlib import Path

from orchestrator.lab.kernel.kernel import Kernel, KernelNameError


def tree_kernel(name: str, tree: Path) -> Kernel:
    """Return the kernel that was built in a source tree.

    Raises:
        KernelNameError: nothing was built there, or no KVM.
    """
    image, release = tree / "arch/x86/boot/bzImage", tree / "include/config/kernel.release"
    for needed in (image, release):
        if not needed.is_file():
            raise KernelNameError(name, f"there is no {needed} (is the kernel built?)")
    paths = {
        "irqbypass": tree / "virt/lib/irqbypass.ko",
        "kvm": tree / "arch/x86/kvm/kvm.ko",
        "kvm-intel": tree / "arch/x86/kvm/kvm-intel.ko",
    }
    modules = {module: path.read_bytes() for module, path in paths.items() if path.is_file()}
    config = tree / "include/config/auto.conf"
    built_in = config.is_file() and "CONFIG_KVM_INTEL=y\n" in config.read_text()
    if "kvm-intel" not in modules and not built_in:
        raise KernelNameError(name, f"there is no {paths['kvm-intel']}, nor is it built in")
    said = release.read_text().strip()
    return Kernel(name, said, said, image, modules)
