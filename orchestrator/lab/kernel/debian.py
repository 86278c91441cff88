"""Debian's kernels: the newest of a suite, or one version of any suite."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from orchestrator.cache.store import Store
from orchestrator.lab.kernel.kernel import (
    BuildInput,
    Kernel,
    KernelNameError,
    read_kernel,
    silent,
)
from orchestrator.packages.debian_kernel import fetch_kernel, kernel_version, names_a_kernel
from orchestrator.packages.kernel_index import SUITES, build_packages, image_packages
from orchestrator.packages.kernel_store import kept_kernel
from orchestrator.packages.suites import NoSuiteError, fetch


@dataclass(frozen=True, slots=True)
class Debian:
    """`debian:SUITE` or `debian:VERSION`: Debian's package linux-image-cloud-amd64."""

    what: str
    """The suite or the version."""

    @classmethod
    def parse(cls, what: str) -> Self:
        """Return the source that a name means.

        Raises:
            KernelNameError: this is neither a suite nor a version.
        """
        if not names_a_kernel(what):
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

    def fetch(
        self, cache: Path, *, refresh: bool = False, say: Callable[[str], None] = silent
    ) -> Kernel:
        """Return the kernel; see `KernelSource.fetch`."""
        version = self._version(cache, refresh=refresh)
        return read_kernel(self, fetch_kernel(version, cache))

    def _version(self, cache: Path, *, refresh: bool) -> str:
        try:
            return kernel_version(self.what, cache, refresh=refresh)
        except NoSuiteError as error:
            seen = f"{error}. Suites with kernels are: {', '.join(SUITES)}"
            raise KernelNameError(self.name, seen) from None

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
