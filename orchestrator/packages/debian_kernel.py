"""Debian's kernels: the newest of a suite, or one version of any suite."""

import re
import time
from pathlib import Path

from orchestrator.cache.store import Entry, Store
from orchestrator.cache.workshop import workshop
from orchestrator.packages.apt import PackagesError
from orchestrator.packages.kernel_index import META, image_packages
from orchestrator.packages.kernel_store import keep_kernel, kept_kernel
from orchestrator.packages.suites import fetch, packages

_SUITE = re.compile(r"[a-z][a-z0-9-]*")


_VERSION = re.compile(r"[0-9][A-Za-z0-9.+~]*-[A-Za-z0-9.+~]+")


def names_a_kernel(what: str) -> bool:
    """Return whether a text has the form of a suite or of a version."""
    return bool(_SUITE.fullmatch(what) or _VERSION.fullmatch(what))


def kernel_version(what: str, cache: Path, *, refresh: bool = False) -> str:
    """Return the version of a package linux-image-cloud-amd64.

    Args:
        what: the version, or the suite whose newest kernel is meant.
        cache: folder of the cache that keeps the suite's list of packages.
        refresh: read the list anew.

    Raises:
        NoSuiteError: the mirror has no such suite.
        PackagesError: the suite has no kernel, or its list can't be had.
    """
    if not _SUITE.fullmatch(what):
        return what
    listed = packages(what, cache, older_than_s=time.time() if refresh else 0.0)
    newest = next((package for package in listed if package.name == META), None)
    if newest is None:
        raise PackagesError(f"kernel debian:{what}: {what} has no {META}")
    return newest.version


def fetch_kernel(version: str, cache: Path) -> Entry:
    """Return a kernel's entry in the cache; fetch the kernel first if the cache lacks it.

    Raises:
        PackagesError: no suite has this version, or it can't be fetched.
    """
    store = Store(cache / "kernels")
    ready = kept_kernel(store, version)
    if ready is None:
        with workshop(cache / "kernels") as work:
            ready = kept_kernel(store, version)  # by another process, while we waited
            if ready is None:
                archives = fetch(image_packages(version, cache), work)
                ready = keep_kernel(store, version, version, archives, work)
    return ready
