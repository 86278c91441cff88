"""Kernels to boot in a lab."""

import lzma
import re
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.lab.packages import PackagesError, unpack

#: KVM's modules, in the order in which they load.
MODULES = ("irqbypass", "kvm", "kvm-intel")


class KernelNameError(InputError):
    """A kernel was named in a way that is not known."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel and its KVM modules, as they were packaged."""

    name: str
    image: Path
    modules: dict[str, bytes]
    """The modules of `MODULES` that are not built in, by name."""


def kernel(name: str, cache: Path | None = None) -> Kernel:
    """Fetch a kernel.

    Args:
        name: `debian:SUITE`, the newest of that suite.
        cache: where to keep it; losttick's cache folder by default.

    Raises:
        KernelNameError: the name has another form.
        PackagesError: it can't be had.
    """
    named = re.fullmatch(r"debian:([a-z][a-z0-9-]*)", name)
    if named is None:
        raise KernelNameError(f"kernel {name!r}: name it as debian:SUITE, such as debian:bookworm")
    root = unpack(named[1], ["linux-image-cloud-amd64"], cache).root
    images = sorted(root.glob("boot/vmlinuz-*"))
    if not images:
        raise PackagesError(f"kernel {name}: its package has no boot/vmlinuz")
    return Kernel(name, images[-1], {m: data for m in MODULES if (data := _module(root, m))})


def _module(root: Path, name: str) -> bytes | None:
    for path in root.rglob(f"{name}.ko*"):
        data = path.read_bytes()
        return lzma.decompress(data) if path.suffix == ".xz" else data
    return None
