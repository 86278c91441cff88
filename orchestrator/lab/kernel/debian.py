"""Debian's kernels: the newest of a suite, or one version of any suite."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.cache.store import Store
from orchestrator.cache.workshop import workshop
from orchestrator.lab.kernel.debian_index import META, SUITES, build_packages, image_packages
from orchestrator.lab.kernel.kept import keep_kernel, kept_kernel, read_kernel
from orchestrator.lab.kernel.kernel import BuildInput, Kernel, KernelNameError
from orchestrator.packages.apt import PackagesError
from orchestrator.packages.suites import NoSuiteError, fetch, packages

_SUITE = re.compile(r"[a-z][a-z0-9-]*")


_VERSION = re.compile(r"[0-9][A-Za-z0-9.+~]*-[A-Za-z0-9.+~]+")


@dataclass(frozen=True, slots=True)
class Debian:
    """`debian:SUITE` or `debian:VERSION`: Debian's package linux-image-cloud-amd64."""

    what: str
    """The suite or the version."""

    @classmethod
    def parse(cls, what: str) -> "Debian":
        """Return the source that a name means.

        Raises:
            KernelNameError: this is neither a suite nor a version.
        """
        if not (_SUITE.fullmatch(what) or _VERSION.fullmatch(what)):
            raise KernelNameError(f"debian:{what}")
        return cls(what)

    @property
    def name(self) -> str:
        """The name by which the user asked for the kernel."""
        return f"debian:{self.what}"

    def check(self, cache: Path) -> None:
        """Refuse what no suite has; this reads the suites' lists of packages at most."""
        version = self._version(cache, refresh=False)
        if kept_kernel(Store(cache / "kernels"), version) is None:
            image_packages(version, cache)

    def fetch(self, cache: Path, *, refresh: bool = False) -> Kernel:
        """Return the kernel; see `KernelSource.fetch`."""
        version = self._version(cache, refresh=refresh)
        store = Store(cache / "kernels")
        ready = kept_kernel(store, version)
        if ready is None:
            with workshop(cache / "kernels") as work:
                ready = kept_kernel(store, version)
                if ready is None:
                    archives = fetch(image_packages(version, cache), work)
                    ready = keep_kernel(store, version, version, archives, work)
        return read_kernel(self, ready)

    def _version(self, cache: Path, *, refresh: bool) -> str:
        if not _SUITE.fullmatch(self.what):
            return self.what
        try:
            listed = packages(self.what, cache, older_than_s=time.time() if refresh else 0.0)
        except NoSuiteError as error:
            seen = f"{error}. Suites with kernels are: {', '.join(SUITES)}"
            raise KernelNameError(self.name, seen) from None
        newest = next((package for package in listed if package.name == META), None)
        if newest is None:
            raise PackagesError(f"kernel {self.name}: {self.what} has no {META}")
        return newest.version

    def check_variants(self) -> None:
        """Do nothing: Debian has the source of each kernel."""

    def marks(self, kernel: Kernel) -> Sequence[str]:
        """Return nothing: Debian has each version once."""
        return ()

    def build_key(self, kernel: Kernel) -> str:
        """Return the version: it names all packages."""
        return kernel.version

    def build_input(self, kernel: Kernel, folder: Path, cache: Path) -> BuildInput:
        """Fetch source, headers and build tools of the kernel's version."""
        wanted = build_packages(kernel.version, kernel.release, cache)
        tools = next((each for each in wanted if each.name.startswith("linux-kbuild-")), None)
        return BuildInput(tuple(fetch(wanted, folder)), tools)
