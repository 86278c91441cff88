"""Finds the packages of one version of Debian's kernel, in whichever suite has them."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.packages.apt import PackagesError
from orchestrator.packages.suites import Package, packages

#: Suites in which a version is looked for, newest first.
SUITES = (
    "sid", "trixie-backports", "forky", "trixie-security", "trixie", "bookworm-backports",
    "bookworm-security", "bookworm", "bullseye-security", "bullseye",
)  # fmt: skip


#: A suite's list that is older than this is read again before a version is reported missing.
_CURRENT_S = 3600.0


#: The package that depends on the newest kernel of its suite.
META = "linux-image-cloud-amd64"


def image_packages(version: str, cache: Path) -> list[Package]:
    """Return the packages of a kernel's image and modules.

    Raises:
        PackagesError: no suite has all of them.
    """
    return _find(version, _IMAGE, cache)


def build_packages(version: str, release: str, cache: Path) -> list[Package]:
    """Return the packages from which a kernel's modules are built.

    Raises:
        PackagesError: no suite has all of them.
    """
    return _find(version, _build(re.escape(release)), cache)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Packages of one version that belong together."""

    what: str
    roots: tuple[str, ...]
    """Patterns of names. There must be a package for each."""
    kinds: str
    """Pattern of the kinds of package that belong to them, among their dependencies."""

    def among(
        self, had: Mapping[str, Package], others: Mapping[str, Package]
    ) -> list[Package] | None:
        """Return the packages, or None unless all of them are there.

        Args:
            had: the packages of this version, by name.
            others: the newest packages of other versions, by name.
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
                # Older suites have only the newest version of linux-kbuild.
                package = had.get(name) or (others.get(name) if "-kbuild-" in name else None)
                if package is None:
                    return None
                found[name] = package
                queue.append(package)
        return list(found.values())


_IMAGE = _Wanted("the kernel", ("linux-image-.+-cloud-amd64",), "image|binary|modules")


def _build(release: str) -> _Wanted:
    """Return the packages that modules are built from. `release` is a pattern."""
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
    """Return the suites, beginning with the most likely ones for a version."""
    series = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie"}
    release = series.get(".".join(version.split(".")[:2]), "?")
    if backport := re.search(r"~(?:bpo|deb)(\d+)", version):
        numbers = {"11": "bullseye", "12": "bookworm", "13": "trixie"}
        release = numbers.get(backport[1], "?")
    return sorted(SUITES, key=lambda suite: not suite.startswith(release))


def _nowhere(
    version: str, wanted: _Wanted, cache: Path, unread: Mapping[str, PackagesError]
) -> str:
    """Return a sentence that says what can be had instead."""
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
        f"It has: {', '.join(near or newest) or 'none'}. Or bring the packages: deb:FILE,…"
        + "".join(f". {suite} could not be read: {why}" for suite, why in unread.items())
    )
