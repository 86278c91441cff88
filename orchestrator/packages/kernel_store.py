"""Kernels in the cache: of their packages only what a lab needs, the image and KVM's modules."""

import lzma
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from orchestrator.cache.store import Entry, EntryInfo, Store
from orchestrator.packages.apt import PackagesError, package_tool

#: KVM's modules, in the order in which they load.
MODULES = ("irqbypass", "kvm", "kvm-intel")


def kept_kernel(store: Store, key: str) -> Entry | None:
    """Return a kernel's entry in the cache, unless it is damaged."""
    entry = store.find(key)
    return entry if entry and not entry.damage() else None


def keep_kernel(
    store: Store, key: str, version: str, archives: Sequence[Path], work: Path
) -> Entry:
    """Keep the kernel and KVM's modules that some .deb files hold.

    Raises:
        PackagesError: they hold no kernel that a lab can use.
        ToolError: a file can't be unpacked.
    """
    root, made = work / "root", work / "kernel"
    made.mkdir()
    for archive in archives:
        if not re.match("linux-(headers|kbuild|source)", archive.name):
            package_tool(["dpkg-deb", "-x", str(archive), str(root)], f"unpacking {archive.name}")
    images = [*root.glob("boot/vmlinuz-*"), *root.glob("usr/lib/modules/*/vmlinuz")]
    if len(images) != 1:
        raise PackagesError(f"kernel {version}: its packages have {len(images)} kernels, not one")
    (image,) = images
    in_boot = image.parent.name == "boot"
    release = image.name.removeprefix("vmlinuz-") if in_boot else image.parent.name
    shutil.copy(image, made / "vmlinuz")
    for module in MODULES:
        if data := _module(root, module):
            (made / f"{module}.ko").write_bytes(data)
    configs = [path.read_text() for path in root.glob(f"boot/config-{release}")]
    if not (made / "kvm-intel.ko").exists() and "\nCONFIG_KVM_INTEL=y\n" not in "".join(configs):
        raise PackagesError(
            f"kernel {version}: its packages have no kvm-intel.ko. "
            "Where a kernel is split, linux-modules belongs to it."
        )
    details = {"release": release, "packages": [archive.name for archive in archives]}
    return store.add(key, made, EntryInfo("kernel", version, time.time(), details))


def _module(root: Path, name: str) -> bytes | None:
    for path in root.rglob(f"{name}.ko*"):
        match path.suffix:
            case ".ko":
                return path.read_bytes()
            case ".xz":
                return lzma.decompress(path.read_bytes())
            case _:
                raise PackagesError(
                    f"reading {path.name}: it is compressed in a way that losttick does not read "
                    "(only .ko and .ko.xz). Name the kernel as tree:DIR, or unpack its modules."
                )
    return None
