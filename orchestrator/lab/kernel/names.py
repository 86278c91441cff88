"""Kernels to boot in a lab: Debian's, of its packages, or of a tree that was built by hand.

Of Debian's packages only what a lab needs is kept: the kernel and KVM's modules, as they
were packaged. What the mirror has is read once for each suite and stands until a version
is asked for that was not there, or a refresh: two runs with one cache boot the same.
"""

import time
from pathlib import Path

from orchestrator.cache.workshop import cache_folder
from orchestrator.lab.kernel.brought import brought
from orchestrator.lab.kernel.debian import META, SUITE, VERSION, build_packages, debian
from orchestrator.lab.kernel.kernel import Kernel, KernelNameError, build_place
from orchestrator.lab.kernel.tree import tree_kernel
from orchestrator.packages.apt import PackagesError
from orchestrator.packages.suites import packages

#: The newest kernel in which the one edit is enough that reverts the fix: an expiry outside
#: KVM_RUN is still injected (no `wants_to_run`), so base and untouched are the same.
DEFAULT_VERSION = "6.1.176-1"


#: Where that is pruned: suites whose newest kernel needs both edits, the quickest to boot first.
DEFAULT_SUITES = ("bookworm-security", "bookworm", "trixie-security", "trixie")


def kernel(name: str, cache: Path | None = None, *, refresh: bool = False) -> Kernel:
    """Fetch a kernel; it is never edited.

    Args:
        name: `debian:SUITE`, the newest `linux-image-cloud-amd64` of that suite;
            `debian:VERSION`, that version of it from any suite; `deb:FILE,FILE…`, the
            packages of one kernel (image, and -binary and -modules where it is split so;
            for variants also -headers, -headers-common, -kbuild and linux-source);
            `tree:DIR`, a source tree in which bzImage and modules are built.
        cache: where to keep it; losttick's cache folder by default.
        refresh: read anew what a suite has.

    Raises:
        KernelNameError: the name has another form, or names what is not there.
        PackagesError: it can't be had.
    """
    cache = cache or cache_folder()
    kind, _, what = name.partition(":")
    if kind == "debian" and SUITE.fullmatch(what):
        listed = packages(what, cache, older_than_s=time.time() if refresh else 0.0)
        newest = next((package for package in listed if package.name == META), None)
        if newest is None:
            raise PackagesError(f"kernel {name}: {what} has no {META}")
        return debian(name, newest.version, cache)
    if kind == "debian" and VERSION.fullmatch(what):
        return debian(name, what, cache)
    if kind == "deb" and what:
        return brought(name, tuple(Path(file) for file in what.split(",")), cache)
    if kind == "tree" and what:
        return tree_kernel(name, Path(what))
    raise KernelNameError(name)


def default_kernel(cache: Path | None = None) -> Kernel:
    """Fetch the newest kernel that makes the shortest proof.

    That is `DEFAULT_VERSION`, in which base and untouched are the same; where the mirror
    has it no more (or not its source), the newest of a suite in which both edits are
    needed. `Kernel.version` says which it is, `variants.has_wants_to_run` whether a base is needed.

    Raises:
        PackagesError: none can be had.
    """
    try:
        found = kernel(f"debian:{DEFAULT_VERSION}", cache)
        if not build_place(found, cache).is_dir():
            build_packages(found, cache)
        return found
    except PackagesError as error:
        refused = error
    for suite in DEFAULT_SUITES:
        try:
            return kernel(f"debian:{suite}", cache)
        except PackagesError as error:
            refused = error
    raise refused
