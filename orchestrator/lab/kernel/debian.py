"""Debian's kernels, of any suite."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.cache.store import Store
from orchestrator.cache.workshop import cache_folder, workshop
from orchestrator.lab.kernel.kernel import Kernel
from orchestrator.lab.kernel.unpacked import keep, kept, loaded
from orchestrator.packages.apt import PackagesError
from orchestrator.packages.suites import Package, fetch, packages

#: Suites in which a version is looked for, newest first.
SUITES = (
    "sid", "trixie-backports", "forky", "trixie-security", "trixie", "bookworm-backports",
    "bookworm-security", "bookworm", "bullseye-security", "bullseye",
)  # fmt: skip


#: A list that was read longer ago is read anew before a version is said not to be there.
_CURRENT_S = 3600.0


SUITE = re.compile(r"[a-z][a-z0-9-]*")


VERSION = re.compile(r"[0-9][A-Za-z0-9.+~]*-[A-Za-z0-9.+~]+")


#: Depends on the newest kernel of its suite.
META = "linux-image-cloud-amd64"


def debian(name: str, version: str, cache: Path) -> Kernel:
    """Return a version of Debian's kernel, fetched if the cache lacks it.

    Raises:
        PackagesError: no suite has it.
    """
    store = Store(cache / "kernels")
    if ready := kept(store, version):
        return loaded(name, ready)
    with workshop(cache / "kernels") as work:
        ready = kept(store, version)
        if ready is None:
            archives = fetch(_find(version, _IMAGE, cache), work)
            ready = keep(store, version, version, archives, work)
    return loaded(name, ready)


def build_packages(kernel: Kernel, cache: Path | None = None) -> list[Package]:
    """Return the packages that a Debian kernel's modules are built from.

    Raises:
        PackagesError: the mirror has not all of them.
    """
    return _find(kernel.version, _build(re.escape(kernel.release)), cache or cache_folder())


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Packages of one version that belong together."""

    what: str
    roots: tuple[str, ...]
    """Patterns of names: there must be one of each."""
    kinds: str
    """Of what they depend on, the kinds that belong to it."""

    def among(
        self, had: Mapping[str, Package], others: Mapping[str, Package]
    ) -> list[Package] | None:
        """Return them, if all are there.

        Args:
            had: the packages of this version, by name.
            others: the newest of those of other versions.
        """
        found: dict[str, Package] = {}
        for root in self.roots:
            matching = {name: had[name] for name in had if re.fullmatch(root, name)}
            if not matching:
                return None
            found |= matching
        queue = list(found.values())
        while queue:
            for name in queue.pop().needs:
                if name in found or not re.match(f"linux-({self.kinds})-", name):
                    continue
                # Of linux-kbuild, older suites have the newest version only.
                package = had.get(name) or (others.get(name) if "-kbuild-" in name else None)
                if package is None:
                    return None
                found[name] = package
                queue.append(package)
        return list(found.values())


_IMAGE = _Wanted("the kernel", ("linux-image-.+-cloud-amd64",), "image|binary|modules")


def _build(release: str) -> _Wanted:
    """Return what modules are built from; `release` is a pattern."""
    roots = (f"linux-headers-{release}", r"linux-source-\d+\.\d+")
    return _Wanted("what modules are built from (headers, source)", roots, "headers|kbuild")


def _find(version: str, wanted: _Wanted, cache: Path) -> list[Package]:
    """Return packages of a version.

    Raises:
        PackagesError: no suite has all of them.
    """
    unread: dict[str, PackagesError] = {}
    for older_than_s in (0.0, time.time() - _CURRENT_S):
        had: dict[str, Package] = {}
        others: dict[str, Package] = {}
        for suite in _likely_first(version):
            try:
                listed = packages(suite, cache, older_than_s=older_than_s)
            except PackagesError as error:
                unread[suite] = error
                continue
            for package in listed:
                (had if package.version == version else others).setdefault(package.name, package)
            if found := wanted.among(had, others):
                return found
    raise PackagesError(_nowhere(version, wanted, cache, unread))


def _likely_first(version: str) -> list[str]:
    """Return the suites, those first that have such versions."""
    series = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie"}
    release = series.get(".".join(version.split(".")[:2]), "?")
    if backport := re.search(r"~(?:bpo|deb)(\d+)", version):
        numbers = {"11": "bullseye", "12": "bookworm", "13": "trixie"}
        release = numbers.get(backport[1], "?")
    return sorted(SUITES, key=lambda suite: not suite.startswith(release))


def _nowhere(
    version: str, wanted: _Wanted, cache: Path, unread: Mapping[str, PackagesError]
) -> str:
    """Return a sentence on what can be had instead."""
    anyhow = wanted if wanted is _IMAGE else _build(".+-cloud-amd64")
    near: dict[str, None] = {}
    newest: dict[str, None] = {}
    for suite in SUITES:
        listed = [] if suite in unread else packages(suite, cache)
        newest |= {package.version: None for package in listed if package.name == META}
        others = {package.name: package for package in reversed(listed)}
        for each in dict.fromkeys(package.version for package in listed):
            had = {package.name: package for package in listed if package.version == each}
            if each.split(".")[:2] == version.split(".")[:2] and anyhow.among(had, others):
                near[each] = None
    return (
        f"kernel {version}: no suite of this mirror has {wanted.what} any more. "
        f"Of these it has: {', '.join(near or newest) or 'none'}. Or bring the packages: deb:FILE,…"
        + "".join(f". {suite} could not be read: {why}" for suite, why in unread.items())
    )
