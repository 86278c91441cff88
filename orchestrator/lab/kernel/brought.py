"""A kernel of .deb files that the user has."""

import hashlib
import re
from pathlib import Path

from orchestrator.cache.store import Store
from orchestrator.cache.workshop import workshop
from orchestrator.lab.kernel.kernel import Kernel, KernelNameError
from orchestrator.lab.kernel.unpacked import keep, kept, loaded
from orchestrator.packages.apt import package_tool


def brought(name: str, files: tuple[Path, ...], cache: Path) -> Kernel:
    """Return the kernel of some .deb files.

    Raises:
        KernelNameError: a file is missing, or none of them has a kernel.
    """
    for file in files:
        if not file.is_file():
            raise KernelNameError(name, f"there is no file {file}")
    digests = sorted(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    key = hashlib.sha256("".join(digests).encode()).hexdigest()[:16]
    store = Store(cache / "kernels")
    ready = kept(store, key)
    if ready is None:
        with workshop(cache / "kernels") as work:
            about = [package_tool(["dpkg-deb", "-f", str(file), "Package", "Version"],
                              f"reading {file}") for file in files]  # fmt: skip
            image = next((a for a in about if re.search("^Package: linux-(image|binary)", a)), "")
            version = re.search(r"^Version: (\S+)", image, re.M)
            if version is None:
                raise KernelNameError(name, "none of the files is a package linux-image or -binary")
            ready = keep(store, key, version[1], files, work)
    return loaded(name, ready, tuple(file.resolve() for file in files))
